"""Asks the lake all that a report shows, some questions at a time, and sorts the answers by site."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from parsely_spark.errors import LakeError
from parsely_spark.report import audience, health
from parsely_spark.report.classes import MODELS, NEEDS
from parsely_spark.report.figures import Figures, Item, LakeFigures, Site, added
from parsely_spark.report.near import NEEDED, Audience, near_pageviews
from parsely_spark.report.period import find_period, find_sites
from parsely_spark.small_work import MOST_FOLDED_EVENTS, small_work
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS, TABLES
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.news import News

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from pyspark.sql import Row

    from parsely_spark.progress import Progress
    from parsely_spark.report.period import Asked
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.folding import State

_AT_ONCE = 3  # questions: while Spark works on one, the driver plans another


def gather(lake: Lake, asked: Asked, progress: Progress) -> Figures:
    """Look at *lake*.

    Args:
        lake: where the tables are.
        asked: what about.
        progress: is told what goes on.

    Raises:
        LakeError: if there is nothing to look at, or the tables cannot be read.
        SettingsError: if the period is wrong.
    """
    with storage_errors(LakeError, lake.place):
        with progress.step("period") as step:
            lake.look()
            lake.require(EVENTS.name)
            period = find_period(lake, asked)
            named, more, events = find_sites(lake, asked, period)
            step.note(f"{period.since} until {period.until} ({period.timezone}), {len(named)} sites")
        there = frozenset(table for table in TABLES if lake.checked(table, is_one_of_all=True))
        sites = {apikey: Site(apikey=apikey, newest_at=newest_at) for apikey, newest_at in named}
        all_sites = Site(apikey=None, newest_at=max((at for _, at in named), default=None))
        of = Audience(lake=lake, reporting=asked.reporting, period=period, sites=tuple(sites))
        news = News(lake)
        is_small = events <= MOST_FOLDED_EVENTS
        with progress.step("figures"), small_work(lake.spark, is_small=is_small, stored_bytes=news.size_bytes):
            answers = {}
            of_tables = health.states(lake, there, news)
            if sites:
                with near_pageviews(of) if there.issuperset(NEEDED) else nullcontext(of) as near:
                    answers = _ask_all(near, there, of_tables)
        for question, rows in answers.items():
            if question in _SORT:
                _SORT[question](rows, _Shelf(sites, all_sites))
    return Figures(
        period=period,
        place=lake.place,
        sites=list(sites.values()),
        more_sites=more,
        all_sites=all_sites,
        lake=answers.get("lake") or LakeFigures(),
        missing=frozenset(fold.name for fold in FOLDS) - there,
    )


def _ask_all(of: Audience, there: frozenset[str], of_tables: Mapping[str, State]) -> dict[str, Any]:
    scope = of.scope
    questions: dict[str, Callable[[], Any]] = {
        "events": lambda: health.events_by_hour(of.lake, scope, of.sites),
        "lake": lambda: health.lake_figures(of.lake, there, of_tables),
        "rescued": lambda: health.rescued_keys(of.lake, scope, of.sites),
        "content": lambda: audience.content(of),
        "posts": lambda: audience.posts(of),
        "pageviews": lambda: audience.pageviews(of),
        "sessions": lambda: audience.sessions(of),
        "attribution": lambda: audience.attribution(of),
        "visitors": lambda: audience.visitors(of),
        "views_by_kind": lambda: audience.views_by_kind(of),
        "campaigns": lambda: audience.campaigns(of),
        "videos": lambda: audience.videos(of),
        "conversions": lambda: audience.conversions(of),
    }
    possible = {name: ask for name, ask in questions.items() if there.issuperset(NEEDS.get(name, ()))}
    with ThreadPoolExecutor(_AT_ONCE) as threads:
        asked = {name: threads.submit(ask) for name, ask in possible.items()}
        if "posts" in asked and there.issuperset(NEEDS["first_hours"]):
            new = _new_posts(asked["posts"].result())
            asked["first_hours"] = threads.submit(lambda: audience.first_hours(of, new) if new else [])
        return {name: answer.result() for name, answer in asked.items()}


def _new_posts(posts: Sequence[Row]) -> list[str]:
    """The most read posts of each site that were published in the period, so that their first hours can be there."""
    return [row["post_id"] for row in posts if row["is_new"] and row["nth_of_kind"] <= audience.NEW_POSTS]


class _Shelf:
    """Where answers are put: at their site, and where they add up, at all sites together."""

    def __init__(self, sites: dict[str, Site], all_sites: Site) -> None:
        self.sites = sites
        self.all_sites = all_sites

    def both(self, apikey: str) -> tuple[Site, Site]:
        """The site and all sites."""
        return self.sites[apikey], self.all_sites

    def put(self, what: str, rows: Iterable[tuple[Row, Item]], most: str) -> None:
        """Items that belong to a site; of all sites, those with the most."""
        items = [(row["apikey"], item) for row, item in rows]
        for apikey, item in items:
            self.sites[apikey].by.setdefault(what, []).append(item)
        items.sort(key=lambda of: -of[1].counts[most])
        self.all_sites.by[what] = [item for _, item in items[: audience.TOP]]

    def sum_up(self, what: str, apikey: str, name: str | None, counts: dict[str, float]) -> None:
        """Items whose counts add up over sites."""
        for site in self.both(apikey):
            items = site.by.setdefault(what, [])
            same = next((number for number, item in enumerate(items) if item.name == name), None)
            if same is None:
                items.append(Item(name=name, counts=dict(counts)))
            else:
                items[same] = Item(name=name, counts=added(items[same].counts, counts))


def _counts(row: Row, *names: str) -> dict[str, float]:
    return {name: row[name] or 0 for name in names}


def _sort_events(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        counts = {name: row[name] for name in row.__fields__ if name not in ("apikey", "hour_")}
        for site in shelf.both(row["apikey"]):
            site.add(site.hours, row["hour_"], {"events": row["events"]})
            site.totals = added(site.totals, counts)


def _sort_rescued(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        shelf.sum_up("rescued", row["apikey"], row["key"], {"events": row["events"]})


def _sort_pageviews(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        counts = _counts(row, "pageviews", "engaged_s", "visitors")
        for site in shelf.both(row["apikey"]):
            if row["hour_"] is not None:
                site.add(site.hours, row["hour_"], counts)
            elif row["day_"] is not None:
                site.add(site.days, row["day_"], counts)
            else:
                site.totals = added(site.totals, {f"audience {name}": count for name, count in counts.items()})


def _sort_kinds(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        counts = _counts(row, "views", "pageviews", "engaged_s")
        kinds = {
            "views bots": row["is_bot"],
            "views nobody": row["is_sessionless"],
            "views continued": row["is_continuation"],
            "views all": True,
        }
        for kind in (kind for kind, is_so in kinds.items() if is_so):
            shelf.sum_up("view_kind", row["apikey"], kind, counts)
        if not row["is_bot"] and not row["is_continuation"]:
            shelf.sum_up("read_depth", row["apikey"], row["read_depth"], counts)


def _sort_sessions(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        counts = _counts(row, "sessions", "pageviews", "engaged_s", "bounces", "conversions")
        site = shelf.all_sites if row["apikey"] is None else shelf.sites[row["apikey"]]
        if row["what"] == "hour":
            hour = int(row["value"])
            site.add(site.hours, hour, {"sessions": counts["sessions"]})
            site.add(site.days, hour // 24, {"sessions": counts["sessions"]})
            site.totals = added(site.totals, {f"session {name}": count for name, count in counts.items()})
        else:
            site.by.setdefault(row["what"], []).append(Item(name=row["value"], counts=counts))


def _sort_posts(rows: Sequence[Row], shelf: _Shelf) -> None:
    def item(row: Row) -> Item:
        counts = _counts(row, "pageviews", "engaged_s", "visitors", "deep")
        return Item(name=row["post_id"], title=row["title"], apikey=row["apikey"], counts=counts)

    top = [row for row in rows if row["nth"] <= audience.TOP]
    new = [row for row in rows if row["is_new"] and row["nth_of_kind"] <= audience.NEW_POSTS]
    shelf.put("posts", zip(top, map(item, top), strict=True), "pageviews")
    shelf.put("new_posts", zip(new, map(item, new), strict=True), "pageviews")


def _sort_first_hours(rows: Sequence[Row], shelf: _Shelf) -> None:
    """Hours of posts: the name is that of the post, each count that of an hour."""
    found: dict[tuple[str, str], dict[str, float]] = {}
    for row in rows:
        found.setdefault((row["apikey"], row["post_id"]), {})[str(row["hours_since_publish"])] = row["pageviews"]
    for (apikey, post_id), hours in found.items():
        shelf.sites[apikey].by.setdefault("first_hours", []).append(Item(name=post_id, counts=hours, apikey=apikey))
    shelf.all_sites.by["first_hours"] = [
        item for site in shelf.sites.values() for item in site.by.get("first_hours", [])
    ]


def _sort_content(rows: Sequence[Row], shelf: _Shelf) -> None:
    names = ("pageviews", "engaged_s", "visitors", "posts_viewed", "posts_published")
    for what in audience.CONTENT:
        some = [row for row in rows if row["what"] == what]
        items = [Item(name=row["name"], apikey=row["apikey"], counts=_counts(row, *names)) for row in some]
        shelf.put(what, zip(some, items, strict=True), "pageviews")


def _sort_campaigns(rows: Sequence[Row], shelf: _Shelf) -> None:
    names = ("sessions", "bounces", "pageviews", "engaged_s", "conversions")
    items = []
    for row in rows:
        told = [row[f"utm_{part}"] for part in ("source", "medium", "campaign")]
        name = " · ".join(text for text in told if text)
        items.append((row, Item(name=name or None, apikey=row["apikey"], counts=_counts(row, *names))))
    shelf.put("campaigns", items, "sessions")


def _sort_visitors(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        counts = _counts(row, "visitors", "pageviews")
        shelf.sum_up("visitor_type", row["apikey"], row["visitor_type"], counts)
        if row["tier"] is not None:
            shelf.sum_up("tier", row["apikey"], row["tier"], counts)
            shelf.sum_up("loyal", row["apikey"], "loyal" if row["is_loyal"] else "not yet", counts)


def _sort_videos(rows: Sequence[Row], shelf: _Shelf) -> None:
    names = ("views", "videostarts", "watched_s")
    tops = []
    for row in rows:
        counts = _counts(row, *names)
        if row["is_depth"]:
            shelf.sum_up("watch_depth", row["apikey"], row["watch_depth"], counts)
        else:
            tops.append((row, Item(name=row["video_id"], title=row["title"], apikey=row["apikey"], counts=counts)))
    shelf.put("videos", tops, "videostarts")


def _sort_conversions(rows: Sequence[Row], shelf: _Shelf) -> None:
    for row in rows:
        name = " · ".join(text for text in (row["conversion_type"], row["conversion_label"]) if text) or None
        shelf.sum_up("conversions", row["apikey"], name, _counts(row, "conversions"))


def _sort_attribution(rows: Sequence[Row], shelf: _Shelf) -> None:
    of_posts = [row for row in rows if row["what"] == "post"]
    for row in rows:
        if row["what"] == "source":
            shelf.sum_up("credit_source", row["apikey"], row["value"], _counts(row, *MODELS))
    items = [
        Item(name=row["value"], title=row["title"], apikey=row["apikey"], counts=_counts(row, *MODELS))
        for row in of_posts
    ]
    shelf.put("credit_post", zip(of_posts, items, strict=True), "linear")


_SORT: dict[str, Callable[[Sequence[Row], _Shelf], None]] = {
    "events": _sort_events,
    "rescued": _sort_rescued,
    "pageviews": _sort_pageviews,
    "views_by_kind": _sort_kinds,
    "sessions": _sort_sessions,
    "posts": _sort_posts,
    "first_hours": _sort_first_hours,
    "content": _sort_content,
    "campaigns": _sort_campaigns,
    "visitors": _sort_visitors,
    "videos": _sort_videos,
    "conversions": _sort_conversions,
    "attribution": _sort_attribution,
}
