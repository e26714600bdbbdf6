"""The part of the page about the health of the events of a site, or of all sites together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.report import wording
from parsely_spark.report.blocks import distribution, figure, isolated, nothing, row, scrolled, section, table, tiles
from parsely_spark.report.charts import heat_map, legend, spread
from parsely_spark.report.classes import CLOCK_MS, LATENESS_MS
from parsely_spark.report.elements import h
from parsely_spark.report.over_time import LABELS, MOST_IN_A_ROW, hours_of_days
from parsely_spark.report.verdicts import silence_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parsely_spark.report.elements import Content, Element
    from parsely_spark.report.figures import Figures, Item, Period, Site

_LATENESS = dict(
    zip(
        LATENESS_MS,
        ("before it happened", "1 s", "10 s", "1 min", "10 min", "1 h", "6 h", "24 h", "later"),
        strict=True,
    )
)
_CLOCKS = dict(
    zip(
        CLOCK_MS,
        ("more than 1 h behind", "1 min to 1 h behind", "within 1 min", "1 min to 1 h ahead", "more than 1 h ahead"),
        strict=True,
    )
)


_LEADS = {
    "hours": "A hollow field is an hour without an event. At night a small site may have none; a gap in the middle of "
    "the day is worth a look. Silent are those from the first event of a site to the newest of any site.",
    "lateness": "From what counts as the time of the event to the moment at which Parse.ly's collector had it. When it "
    "came into the lake stands below, by file: an event does not tell.",
    "clocks": "The browser's clock against the collector's. A wrong one moves no event: where it cannot be believed, "
    "the collector's counts.",
    "rescued": "And values that are not of their field's type. They are kept in _rescued.",
}


def health_part(site: Site, figures: Figures) -> list[Content]:
    """All sections."""
    shown = figures.sites if site.apikey is None else [site]
    return [
        _event_tiles(site, figures),
        section("Events of each hour", *_freshness(shown, figures), lead=_LEADS["hours"]),
        row(
            section("How late events come", _lateness(site), lead=_LEADS["lateness"]),
            section("Clocks of browsers", *_clocks(site), lead=_LEADS["clocks"]),
        ),
        row(
            section("Without a session, without a pageview", *_orphans(site, figures.missing)),
            section("Fields that the schema does not know", *_rescued(site), lead=_LEADS["rescued"]),
        ),
    ]


def _event_tiles(site: Site, figures: Figures) -> Element:
    events = site.total("events")
    nobody = site.total("nobody")
    at = site.newest_at
    newest = wording.short_instant(at, figures.period.timezone) if at else "–"
    age = wording.duration(max(0, (figures.period.now - at).total_seconds())) if at else ""
    return tiles(
        [
            ("Events", wording.number(events), None),
            ("Newest event", newest, f"{age} before this report" if at else None),
            ("Bots", wording.percent(site.total("bots"), events), f"{wording.number(site.total('bots'))} events"),
            ("Of nobody", wording.percent(nobody, events), "no visitor, so no session"),
            ("Rescued", wording.percent(site.total("rescued"), events), "with unknown fields or types"),
        ]
    )


def _freshness(sites: Sequence[Site], figures: Figures) -> list[Element]:
    period = figures.period
    if len(period.hours) > MOST_IN_A_ROW:
        found = [hours_of_days(site, "events", wording.named(site.apikey), period) for site in sites]
        return [h("div", {"class": "multiples"}, found), legend(is_health=True), _silences(sites, figures)]
    charts = [_strip(site, figures, _strip_labels(period)) for site in sites]
    return [h("div", {"class": "strips"}, charts), legend(is_health=True), _silences(sites, figures)]


def _strip_labels(period: Period) -> list[tuple[int, str]]:
    starts = [number for number, of in enumerate(period.hours) if of % 24 == 0]
    if len(starts) > 1:
        return [(number, wording.day(period.hours[number] // 24, weekday=True)) for number in starts]
    return [(number, f"{period.hours[number] % 24:02d} h") for number in spread(len(period.hours), LABELS)]


def _strip(site: Site, figures: Figures, labels: list[tuple[int, str]]) -> Element:
    values = site.series("events", figures.period.hours)
    total, silent = wording.number(sum(values)), silence_of(site, figures).hours
    said = f"Events of {wording.named(site.apikey)} by hour: {total} in all, {silent} silent hours."
    chart = heat_map([values], said=said, row_labels=[], labels=labels, row_height=20)
    return figure(wording.named(site.apikey), h("div", {"class": "health"}, chart), note=f"{total} events")


def _silences(sites: Sequence[Site], figures: Figures) -> Element:
    rows: list[list[Content]] = []
    for site in sites:
        silence = silence_of(site, figures)
        longest = "–" if silence.since is None else f"{silence.longest} h from {wording.hour(silence.since)}"
        newest = wording.instant(site.newest_at, figures.period.timezone) if site.newest_at else "–"
        rows.append([isolated(wording.named(site.apikey)), newest, str(silence.hours), longest])
    heads = ["Site", "Newest event", "Silent hours", "Longest silence"]
    return scrolled(table("Silent hours", heads, rows, texts=2))


def _lateness(site: Site) -> Element:
    classes = [(title, site.total(f"lateness {key}")) for key, title in _LATENESS.items()]
    labels = [
        title if number in (0, len(classes) - 1) else f"within {title}" for number, (title, _) in enumerate(classes)
    ]
    counts = [(label, count) for label, (_, count) in zip(labels, classes, strict=True)]
    return distribution("Events by how late they came", counts, what="Late by", unit="Events")


def _clocks(site: Site) -> list[Element]:
    classes = [(title, site.total(f"clock {key}")) for key, title in _CLOCKS.items()]
    refused = [
        ("client's time of the event", site.total("client_time_refused")),
        ("client's begin of the session", site.total("session_time_refused")),
        ("no time of the collector's", site.total("no_server_time")),
    ]
    events = site.total("events")
    rows = [[name, wording.number(count), wording.percent(count, events)] for name, count in refused]
    return [
        distribution("Events by the browser's clock", classes, what="Clock", unit="Events"),
        table("Times that were not believed, or not there", ["What", "Events", "Share"], rows),
    ]


def _orphans(site: Site, missing: frozenset[str]) -> list[Element]:
    events = site.total("events")
    kinds = {item.name: item.counts for item in site.by.get("view_kind", [])}
    every = kinds.get("views all", {})
    rows: list[list[Content]] = [
        ["Events of nobody: no visitor, or opted out", _count(site, "nobody"), _share(site, "nobody", events)],
        ["Events without a session of the tracker, as apps send them", _count(site, "no_tracker_session"),
         _share(site, "no_tracker_session", events)],
    ]  # fmt: skip
    of_views = {
        "views continued": "Page rows with engagement and no pageview, as of a tab that was resumed",
        "views nobody": "Page rows without a session",
        "views bots": "Page rows of bots",
    }
    if "pageviews" not in missing:
        for kind, title in of_views.items():
            counts = kinds.get(kind, {})
            rows.append(
                [
                    title,
                    wording.number(counts.get("views", 0)),
                    wording.percent(counts.get("views", 0), every.get("views", 0)),
                ]
            )
        continued = kinds.get("views continued", {}).get("engaged_s", 0)
        rows.append(
            [
                "Engaged time without a pageview",
                wording.hours(continued),
                wording.percent(continued, every.get("engaged_s", 0)),
            ]
        )
    return [table("What has no session or no pageview", ["What", "Count", "Share"], rows)]


def _count(site: Site, name: str) -> str:
    return wording.number(site.total(name))


def _share(site: Site, name: str, whole: float) -> str:
    return wording.percent(site.total(name), whole)


def _rescued(site: Site) -> list[Element]:
    items: list[Item] = sorted(site.by.get("rescued", []), key=lambda item: -item.counts["events"])
    if not items:
        return [nothing("No event of this period has any.")]
    events = site.total("events")
    rows: list[list[Content]] = [
        [h("code", {}, wording.named(item.name, longest=60)), wording.number(item.counts["events"]),
         wording.percent(item.counts["events"], events)]
        for item in items[:20]
    ]  # fmt: skip
    return [table("Keys in _rescued", ["Key", "Events", "Share"], rows)]
