"""Figures of a report, made up without Spark: ordinary ones, and ones whose texts mean harm."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from random import Random

from parsely_spark.report.audience import FEW_VALUES
from parsely_spark.report.classes import CLOCK_MS, DEPTHS, LATENESS_MS, LENGTHS, MODELS
from parsely_spark.report.figures import (
    Balance,
    Figures,
    Item,
    LakeFigures,
    Period,
    Rejects,
    RunFigures,
    Site,
    added,
)

NOW = datetime(2026, 1, 16, 12, 30, tzinfo=UTC)
# Each would do something if it became more than a text. Most call a function that the tests look for.
HOSTILE = (
    "<script>harm()</script>",
    "<img src=x onerror=harm()>",
    '"><svg onload=harm()><a href="javascript:harm()">x</a>',
    "</style><style>@import url(http://harm.example/x.css)</style>",
    "</title></head><body onload=harm()>",
    "<iframe srcdoc='<script>parent.harm()</script>'></iframe>",
    "<meta http-equiv=refresh content='0;url=http://harm.example/'>",
    "<base href=http://harm.example/><link rel=stylesheet href=//harm.example/x>",
    "{{ harm() }} ${harm()} <!-- --> ]]> &lt;b&gt; %3Cscript%3E",
    "\u202eharm\u2066 \x00\x08\ud800 \u200f",
    "A" * 5_000,
    "خبر عاجل: عنوان طويل ‏(harm)",
)
ADDRESSES = (
    "https://news.example/2026/01/a-good-one?x=1&y=%3C2",
    "javascript:harm()",
    "JaVaScRiPt:harm()//http://x.example",
    " javascript:harm()",
    "java\tscript:harm()",
    "data:text/html,<script>harm()</script>",
    "vbscript:harm()",
    "file:///etc/passwd",
    "//harm.example/x",
    'http://harm.example/" onmouseover="harm()',
    "http://harm.example/a b<script>harm()</script>",
)


def figures(*, sites: int = 2, days: int = 2, is_hostile: bool = False, seed: int = 1) -> Figures:
    """Figures of *sites* over *days*; where *is_hostile*, every text of events or settings is."""
    chance = Random(seed)
    since = date(2026, 1, 15)
    first = (since - date(1970, 1, 1)).days
    period = Period(
        since=since,
        until=since + timedelta(days=days),
        timezone="America/New_York",
        hours=tuple(range(24 * first, 24 * (first + days))),
        now=NOW,
    )
    made = [_site(number, period, chance, is_hostile) for number in range(sites)]
    together = Site(apikey=None, newest_at=NOW - timedelta(minutes=7))
    for site in made:
        for hour, counts in site.hours.items():
            together.add(together.hours, hour, counts)
        for day, counts in site.days.items():
            together.add(together.days, day, counts)
        together.totals = added(together.totals, site.totals)
    together.by = made[0].by if made else {}
    return Figures(
        period=period,
        place=HOSTILE[0] if is_hostile else "file:/lake",
        sites=made,
        more_sites=[HOSTILE[1], "small.example"] if is_hostile else [],
        all_sites=together,
        lake=_lake(is_hostile),
        missing=frozenset(),
    )


def _site(number: int, period: Period, chance: Random, is_hostile: bool) -> Site:
    names = HOSTILE if is_hostile else tuple(f"Name {n} of site {number}" for n in range(12))
    addresses = ADDRESSES if is_hostile else tuple(f"https://site{number}.example/post/{n}" for n in range(11))
    site = Site(apikey=names[number] if is_hostile else f"site{number}.example", newest_at=NOW - timedelta(minutes=7))
    for hour in period.hours:
        views = chance.randint(0, 900) * (hour % 24 > 5)
        site.hours[hour] = {"events": 4 * views, "pageviews": views, "visitors": views // 2, "sessions": views // 2,
                            "engaged_s": 31 * views}  # fmt: skip
        site.add(site.days, hour // 24, {name: count for name, count in site.hours[hour].items() if name != "events"})
    sums = added(*site.hours.values())
    site.totals = {
        **sums,
        **{f"audience {name}": sums[name] for name in ("pageviews", "visitors", "engaged_s")},
        "session sessions": sums["sessions"],
        "session bounces": sums["sessions"] // 3,
        **{f"lateness {key}": sums["events"] // 9 for key in LATENESS_MS},
        **{f"clock {key}": sums["events"] // 5 for key in CLOCK_MS},
        **dict.fromkeys(("bots", "nobody", "no_tracker_session", "rescued", "client_time_refused"), 11),
    }
    site.by = _by(site, names, addresses, chance)
    return site


def _by(site: Site, names: tuple[str, ...], addresses: tuple[str, ...], chance: Random) -> dict[str, list[Item]]:
    def items(of: tuple[str, ...] | list[str], *counts: str, titles: tuple[str, ...] = ()) -> list[Item]:
        numbers = sorted((chance.randint(1, 5_000) for _ in of), reverse=True)
        shown = titles or (None,) * len(of)
        return [
            Item(name=name, title=title, apikey=site.apikey, counts=dict.fromkeys(counts, n))
            for name, title, n in zip(of, shown, numbers, strict=False)
        ]

    sessions = ("sessions", "pageviews", "engaged_s", "bounces", "conversions")
    posts = items(addresses, "pageviews", "engaged_s", "visitors", "deep", titles=names)
    return {
        "posts": posts,
        "new_posts": posts[:6],
        "first_hours": [
            Item(name=post.name, apikey=site.apikey, counts={str(hour): 3 * hour % 41 for hour in range(0, 72, 2)})
            for post in posts[:6]
        ],
        **{what: items(names, "pageviews", "engaged_s", "visitors", "posts_viewed")
           for what in ("authors", "sections", "tags")},
        **{what: items(names, *sessions) for what in (*FEW_VALUES, "referrer_domain", "campaigns")},
        **{what: items(addresses, *sessions) for what in ("entry_url", "exit_url")},
        "length": items(list(LENGTHS), *sessions),
        "depth": items(list(DEPTHS), *sessions),
        "read_depth": items(["skim", "read", "deep"], "views"),
        "watch_depth": items(["skim", "watch", "deep"], "views"),
        "visitor_type": items(["new", "returning", "gone"], "visitors"),
        "tier": items(["1", "2-4", "5+"], "visitors"),
        "loyal": items(["loyal", "not yet"], "visitors"),
        "videos": items(addresses, "videostarts", "watched_s", titles=names),
        "conversions": items(names, "conversions"),
        "credit_source": items(names, *MODELS),
        "credit_post": items(addresses, *MODELS, titles=names),
        "rescued": items(names, "events"),
        "view_kind": items(["views all", "views continued", "views nobody", "views bots"], "views", "engaged_s"),
    }  # fmt: skip


def _lake(is_hostile: bool) -> LakeFigures:
    text = HOSTILE[2] if is_hostile else "no disk"
    counts = {"lines": 110, "inserted": 90, "duplicate": 15, "rejected": 4, "blank": 1}
    return LakeFigures(
        runs=[
            RunFigures(job="batch", run_id="r2", ended_at=NOW, outcome="failed", error=text, counts=counts,
                       unknown_fields=HOSTILE[:3] if is_hostile else ("new_field",)),
            RunFigures(job="batch", run_id="r1", ended_at=NOW, outcome="done", error=None, counts=counts),
        ],
        account={**{name: 2 * count for name, count in counts.items()}, "runs": 2},
        files={"files": 7, "left_out": 1, "bytes": 9_000_000, "waited_s_half": 70, "waited_s_most": 800,
               "waited_s_longest": 90_000},
        rejected=[
            Rejects(reason="not_an_object", lines=3, newest_at=NOW, example=line, source=f"s3a://bucket/{line}")
            for line in (HOSTILE if is_hostile else ("{broken",))
        ],
        balances=[
            Balance(table="pageviews", measure="pageviews", stored=90, expected=90, rest=0, behind=0),
            Balance(table="sessions", measure="pageviews", stored=80, expected=81, rest=9, behind=0),
        ],
    )  # fmt: skip
