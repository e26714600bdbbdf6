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
    section,
    tiles,
)
from parsely_spark.report.classes import DEPTHS, LENGTHS, MODELS, NEEDS
from parsely_spark.report.elements import h
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
_MODEL_NAMES = dict(zip(MODELS, ("First touch", "Last touch", "Last post", "Linear"), strict=True))


def audience_part(site: Site, figures: Figures) -> list[Content]:
    """All sections, in the order in which they are read."""
    together = site.apikey is None and len(figures.sites) > 1
    makers: dict[str, tuple[str, Callable[[], list[Element]]]] = {
        "Over time": ("pageviews", lambda: over_time(site, figures.period, figures.missing)),
        "Posts": ("posts", lambda: _posts(site, together)),
        "The first 72 hours of new posts": ("first_hours", lambda: first_hours(site, together)),
        "Authors, sections and tags": ("authors", lambda: _content(site, together)),
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
            parts.append(section(title, *make(), lead=_LEADS.get(title), wide=title in _WIDE))
    return parts


_WIDE = ("Over time", "Posts", "The first 72 hours of new posts")
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
            "Posts and other pages with the most pageviews",
            site.by.get("posts", []),
            [_PAGEVIEWS, _VISITORS, _ENGAGED_EACH, deep],
            what="Post",
            by="pageviews",
            name=lambda item: post_name(item, with_site=together),
        )
    ]


def _content(site: Site, together: bool) -> list[Element]:
    parts = []
    for name, what in (("authors", "Author"), ("sections", "Section"), ("tags", "Tag")):
        posts = count_of("posts_viewed", "Posts")
        parts.append(h("h4", {}, f"{what}s"))
        parts.append(
            ranking(f"{what}s with the most pageviews", site.by.get(name, []), [_PAGEVIEWS, _ENGAGED_EACH, posts],
                    what=what, by="pageviews", name=lambda item: plain_name(item, with_site=together))
        )  # fmt: skip
    return parts


def _sources(site: Site) -> list[Element]:
    whole = site.total("session sessions")
    return [
        ranking("Kinds of sources", _sorted(site, "referrer_category"), [_SESSIONS, _PAGES_EACH, _BOUNCED],
                what="Kind", by="sessions", whole=whole),
        h("h4", {}, "Domains"),
        ranking("Domains with the most sessions", site.by.get("referrer_domain", []),
                [_SESSIONS, _PAGES_EACH, _BOUNCED], what="Domain", by="sessions"),
    ]  # fmt: skip


def _campaigns(site: Site, together: bool) -> list[Element]:
    return [
        ranking("Campaigns with the most sessions: source · medium · campaign", site.by.get("campaigns", []),
                [_SESSIONS, _PAGES_EACH, _BOUNCED, count_of("conversions", "Conversions")],
                what="Campaign", by="sessions", name=lambda item: plain_name(item, with_site=together))
    ]  # fmt: skip


def _ends(site: Site) -> list[Element]:
    return [
        h("h4", {}, "Entry pages"),
        ranking("Pages on which the most sessions begin", site.by.get("entry_url", []), [_SESSIONS, _BOUNCED],
                what="Page", by="sessions", name=page_name),
        h("h4", {}, "Exit pages"),
        ranking("Pages on which the most sessions end", site.by.get("exit_url", []), [_SESSIONS],
                what="Page", by="sessions", name=page_name),
    ]  # fmt: skip


def _depths(site: Site) -> list[Element]:
    read = {"skim": "Skimmed", "read": "Read", "deep": "Read deeply"}
    return [
        distribution("Sessions by length, from the first to the last event", _classes(site, "length", LENGTHS),
                     what="Length", unit="Sessions"),
        distribution("Sessions by pageviews", _classes(site, "depth", DEPTHS), what="Pageviews", unit="Sessions"),
        *([distribution("Views by how deep they were read", _classes(site, "read_depth", read, "views"),
                        what="Depth", unit="Views")] if "read_depth" in site.by else []),
    ]  # fmt: skip


def _visitors(site: Site) -> list[Element]:
    kinds = {"new": "New", "returning": "Returning"}
    tiers = {"1": "1 session", "2-4": "2–4 sessions", "5+": "5 and more sessions"}
    loyal = {"loyal": "Loyal", "not yet": "Not loyal"}
    return [
        distribution("Visitors, new and returning", _classes(site, "visitor_type", kinds, "visitors"),
                     what="Visitors", unit="Visitors"),
        distribution("Visitors by sessions", _classes(site, "tier", tiers, "visitors"),
                     what="Sessions", unit="Visitors"),
        distribution("Loyal visitors, by their pageviews", _classes(site, "loyal", loyal, "visitors"),
                     what="Loyalty", unit="Visitors"),
    ]  # fmt: skip


def _devices(site: Site) -> list[Element]:
    whole = site.total("session sessions")
    parts = []
    for name, what in (("device_type", "Device"), ("os", "System"), ("country", "Country")):
        items = _sorted(site, name)
        parts.append(
            ranking(f"{what}: sessions", items, [_SESSIONS, _PAGES_EACH], what=what, by="sessions", whole=whole, show=8)
        )
    return parts


def _videos(site: Site, together: bool) -> list[Element]:
    watched = Column("Watched per start", lambda of: _each(of.get("watched_s", 0), of.get("videostarts", 0)))
    depths = {"skim": "Skimmed", "watch": "Watched", "deep": "Watched deeply"}
    return [
        distribution("Videos by how long they were watched", _classes(site, "watch_depth", depths, "views"),
                     what="Depth", unit="Views"),
        ranking("Videos with the most starts", site.by.get("videos", []), [count_of("videostarts", "Starts"), watched],
                what="Video", by="videostarts", name=lambda item: post_name(item, with_site=together)),
    ]  # fmt: skip


def _conversions(site: Site, figures: Figures, together: bool) -> list[Element]:
    items = sorted(site.by.get("conversions", []), key=lambda item: -item.counts["conversions"])
    whole = sum(item.counts["conversions"] for item in items)
    parts = [
        ranking("Conversions by type and label", items, [count_of("conversions", "Conversions")], what="Type · label",
                by="conversions", whole=whole)
    ]  # fmt: skip
    if not items or any(name in figures.missing for name in NEEDS["attribution"]):
        return parts
    models = [Column(title, _credit(model)) for model, title in _MODEL_NAMES.items()]
    sources = sorted(site.by.get("credit_source", []), key=lambda item: -item.counts["linear"])
    return [
        *parts,
        h("h4", {}, "Credit by source of the page"),
        ranking("Credit by kind of source", sources, models, what="Source", by="linear"),
        h("h4", {}, "Credit by post"),
        ranking("Posts with the most credit (linear)", site.by.get("credit_post", []), models, what="Post", by="linear",
                name=lambda item: post_name(item, with_site=together)),
    ]  # fmt: skip


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
