"""The part of the page about the audience of a site, or of all sites together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.report import wording
from parsely_spark.report.blocks import (
    Column,
    count_of,
    distribution,
    nothing,
    page_name,
    plain_name,
    post_name,
    ranking,
    row,
    section,
    tiles,
)
from parsely_spark.report.classes import DEPTHS, LENGTHS, MODELS, NEEDS
from parsely_spark.report.over_time import first_hours, over_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from parsely_spark.report.elements import Content, Element
    from parsely_spark.report.figures import Counts, Figures, Item, Site

_PAGEVIEWS = count_of("pageviews", "Pageviews")
_VISITORS = count_of("visitors", "Visitors")
_SESSIONS = count_of("sessions", "Sessions")
_ENGAGED_EACH = Column("Engaged per view", lambda of: _each(of.get("engaged_s", 0), of.get("pageviews", 0)))
_BOUNCED = Column("Bounced", lambda of: wording.percent(of.get("bounces", 0), of.get("sessions", 0)))
_PAGES_EACH = Column("Pages per session", lambda of: _ratio(of.get("pageviews", 0), of.get("sessions", 0)))
_MODEL_NAMES = dict(zip(MODELS, ("Linear", "First touch", "Last touch", "Last post"), strict=True))


def audience_part(site: Site, figures: Figures) -> list[Content]:
    """All sections, in the order in which they are read."""
    together = site.apikey is None and len(figures.sites) > 1
    makers: dict[str, tuple[str, Callable[[], list[Element]]]] = {
        "Over time": ("pageviews", lambda: over_time(site, figures.period, figures.missing)),
        "Posts": ("posts", lambda: _posts(site, together)),
        "The first 72 hours of new posts": ("first_hours", lambda: first_hours(site, together)),
        "Authors, sections and tags": ("content", lambda: _content(site, together)),
        "Where sessions come from": ("sessions", lambda: _sources(site)),
        "Campaigns": ("campaigns", lambda: _campaigns(site, together)),
        "Where sessions begin and end": ("sessions", lambda: _ends(site)),
        "How long, how deep": ("sessions", lambda: _depths(site)),
        "New and returning": ("visitors", lambda: _visitors(site)),
        "Devices and countries": ("sessions", lambda: _devices(site)),
        "Video": ("videos", lambda: _videos(site, together)),
        "Conversions": ("conversions", lambda: _conversions(site, figures, together)),
    }
    parts: list[Content] = [_tiles(site, figures)]
    for title, (question, make) in makers.items():
        lacking = [name for name in NEEDS[question] if name in figures.missing]
        if lacking:
            parts.append(section(title, nothing(_lacks(lacking))))
        else:
            parts.append(section(title, *make(), lead=_LEADS.get(title)))
    return parts


_LEADS = {
    "Over time": "Bots are left out. Engagement counts in the hour in which its view began; a visitor of several hours "
    "or days counts in each of them.",
    "The first 72 hours of new posts": "Pageviews in each hour since publication, of the most read posts that were "
    "published in this period, all to one scale. Bots are part of it.",
    "Authors, sections and tags": "A post counts with each author and tag that it has.",
    "Where sessions come from": "By what led to the session, not to each page.",
    "New and returning": "In the 30 days that end with this period: new came once, returning more often.",
    "Conversions": "Attribution gives credit to the pages that a visitor saw before a conversion; the credit of a "
    "conversion adds up to 1 in each model, but for last post, where no post was seen.",
}


def _lacks(tables: Sequence[str]) -> str:
    some = f"table {tables[0]}" if len(tables) == 1 else f"tables {' and '.join(tables)}"
    return f"This lake has no {some}; `parsely-spark batch` without --tables makes all of them."


def _tiles(site: Site, figures: Figures) -> Element:
    days = len(figures.period.days)
    views, sessions = site.total("audience pageviews"), site.total("session sessions")
    engaged, visitors = site.total("audience engaged_s"), site.total("audience visitors")
    bounces = site.total("session bounces")
    of: list[tuple[str, str, str | None]] = []
    if "pageviews" not in figures.missing:
        of += [
            ("Pageviews", wording.number(views), f"{wording.number(views / days)} a day" if days > 1 else None),
            ("Visitors", wording.number(visitors), f"{_ratio(views, visitors)} pageviews each" if visitors else None),
            ("Engaged time", wording.hours(engaged), f"{_each(engaged, views)} per view" if views else None),
        ]
    if "sessions" not in figures.missing:
        of += [
            ("Sessions", wording.number(sessions), f"{_ratio(views, sessions)} pageviews each" if sessions else None),
            ("Bounced", wording.percent(bounces, sessions), "one pageview and nothing else"),
        ]
    if "conversions" not in figures.missing:
        converted = sum(item.counts["conversions"] for item in site.by.get("conversions", []))
        of.append(("Conversions", wording.number(converted), None))
    return tiles(of)


def _posts(site: Site, together: bool) -> list[Element]:
    deep = Column("Read deeply", lambda of: wording.percent(of.get("deep", 0), of.get("pageviews", 0)))
    return [
        ranking(
            "Posts and other pages by pageviews",
            site.by.get("posts", []),
            [_PAGEVIEWS, _VISITORS, _ENGAGED_EACH, deep],
            what="Post",
            by="pageviews",
            name=lambda item: post_name(item, with_site=together),
        )
    ]


def _content(site: Site, together: bool) -> list[Element]:
    columns = [_PAGEVIEWS, _ENGAGED_EACH]
    blocks = [
        ranking(f"{what}s", site.by.get(name, []), columns, what=what, by="pageviews",
                name=lambda item: plain_name(item, with_site=together))
        for name, what in (("authors", "Author"), ("sections", "Section"), ("tags", "Tag"))
    ]  # fmt: skip
    return [row(*blocks)]


def _sources(site: Site) -> list[Element]:
    columns, whole = [_SESSIONS, _PAGES_EACH, _BOUNCED], site.total("session sessions")
    kinds = ranking(
        "Kinds of sources", _sorted(site, "referrer_category"), columns, what="Kind", by="sessions", whole=whole
    )
    domains = ranking("Domains", site.by.get("referrer_domain", []), columns, what="Domain", by="sessions")
    return [row(kinds, domains)]


def _campaigns(site: Site, together: bool) -> list[Element]:
    columns = [_SESSIONS, _PAGES_EACH, _BOUNCED, count_of("conversions", "Conversions")]
    return [
        ranking("Campaigns by sessions", site.by.get("campaigns", []), columns, what="Source · medium · campaign",
                by="sessions", name=lambda item: plain_name(item, with_site=together))
    ]  # fmt: skip


def _ends(site: Site) -> list[Element]:
    entries = ranking("Entry pages", site.by.get("entry_url", []), [_SESSIONS, _BOUNCED], what="Page", by="sessions",
                      name=page_name)  # fmt: skip
    exits = ranking("Exit pages", site.by.get("exit_url", []), [_SESSIONS], what="Page", by="sessions", name=page_name)
    return [row(entries, exits)]


def _depths(site: Site) -> list[Element]:
    read = {"skim": "Skimmed", "read": "Read", "deep": "Read deeply"}
    blocks = [
        distribution(
            "Sessions by length, first to last event", _classes(site, "length", LENGTHS), what="Length", unit="Sessions"
        ),
        distribution("Sessions by pageviews", _classes(site, "depth", DEPTHS), what="Pageviews", unit="Sessions"),
        distribution("Views by depth", _classes(site, "read_depth", read, "views"), what="Depth", unit="Views"),
    ]
    return [row(*(blocks if "read_depth" in site.by else blocks[:2]))]


def _visitors(site: Site) -> list[Element]:
    kinds = {"new": "New", "returning": "Returning"}
    tiers = {"1": "1", "2-4": "2–4", "5+": "5 and more"}
    loyal = {"loyal": "Loyal", "not yet": "Not loyal"}
    of = "visitors"
    return [
        row(
            distribution("New and returning", _classes(site, "visitor_type", kinds, of), what="Kind", unit="Visitors"),
            distribution("By sessions", _classes(site, "tier", tiers, of), what="Sessions", unit="Visitors"),
            distribution(
                "Loyal by their pageviews", _classes(site, "loyal", loyal, of), what="Loyalty", unit="Visitors"
            ),
        )
    ]


def _devices(site: Site) -> list[Element]:
    whole = site.total("session sessions")
    return [
        row(
            *[
                ranking(f"{what}s", _sorted(site, name), [_SESSIONS], what=what, by="sessions", whole=whole, show=8)
                for name, what in (("device_type", "Device"), ("os", "System"))
            ],
            ranking(
                "Countries", _sorted(site, "country"), [_SESSIONS], what="Country", by="sessions", whole=whole, show=8
            ),
        )
    ]


def _videos(site: Site, together: bool) -> list[Element]:
    watched = Column("Watched per start", lambda of: _each(of.get("watched_s", 0), of.get("videostarts", 0)))
    depths = {"skim": "Skimmed", "watch": "Watched", "deep": "Watched deeply"}
    columns = [count_of("videostarts", "Starts"), watched]
    top = ranking("Videos by starts", site.by.get("videos", []), columns, what="Video", by="videostarts",
                  name=lambda item: post_name(item, with_site=together))  # fmt: skip
    by_depth = distribution(
        "Videos by depth", _classes(site, "watch_depth", depths, "views"), what="Depth", unit="Views"
    )
    return [row(by_depth, top)]


def _conversions(site: Site, figures: Figures, together: bool) -> list[Element]:
    items = sorted(site.by.get("conversions", []), key=lambda item: -item.counts["conversions"])
    whole = sum(item.counts["conversions"] for item in items)
    columns = [count_of("conversions", "Conversions")]
    by_type = ranking("Type · label", items, columns, what="Conversion", by="conversions", whole=whole)
    if not items or any(name in figures.missing for name in NEEDS["attribution"]):
        return [by_type]
    models = [Column(title, _credit(model)) for model, title in _MODEL_NAMES.items()]
    sources = sorted(site.by.get("credit_source", []), key=lambda item: -item.counts["linear"])
    by_post = ranking("Posts by credit", site.by.get("credit_post", []), models, what="Post", by="linear",
                      name=lambda item: post_name(item, with_site=together))  # fmt: skip
    return [row(by_type, ranking("Sources by credit", sources, models, what="Source", by="linear")), by_post]


def _credit(model: str) -> Callable[[Counts], str]:
    return lambda counts: wording.decimal(counts.get(model, 0))


def _sorted(site: Site, what: str) -> list[Item]:
    return sorted(site.by.get(what, []), key=lambda item: -item.counts["sessions"])


def _classes(site: Site, what: str, names: dict[str, str], count: str = "sessions") -> list[tuple[str, float]]:
    """Counts of classes that have an order; *names* are their keys with what they are called, or with anything else."""
    found = {item.name: item.counts.get(count, 0) for item in site.by.get(what, [])}
    is_called = what not in ("length", "depth")
    return [(title if is_called else key, found.get(key, 0)) for key, title in names.items()]


def _each(seconds: float, count: float) -> str:
    return wording.duration(seconds / count) if count else "–"


def _ratio(part: float, whole: float) -> str:
    return f"{part / whole:.2f}" if whole else "–"
