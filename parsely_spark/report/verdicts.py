"""What can be said of the data in few words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from parsely_spark.report import wording
from parsely_spark.report.figures import unexplained

if TYPE_CHECKING:
    from collections.abc import Collection

    from parsely_spark.report.figures import Figures, Site


@dataclass(frozen=True)
class Silence:
    """Hours without an event between others of the same site.

    Attributes:
        hours: how many there are.
        longest: how many of them follow one another at most.
        since: the first of these.
    """

    hours: int
    longest: int
    since: int | None


def silence_of(site: Site, figures: Figures) -> Silence:
    """The hours without events, from the first hour in which *site* has any to the last in which any site has."""
    period = figures.period
    values = site.series("events", period.hours)
    heard = [number for number, value in enumerate(values) if value]
    of_any = [number for number, value in enumerate(figures.all_sites.series("events", period.hours)) if value]
    if not heard:
        return Silence(0, 0, None)
    total, longest, since, run = 0, 0, None, 0
    for number in range(heard[0], of_any[-1] + 1):
        run = 0 if values[number] else run + 1
        total += not values[number]
        if run > longest:
            longest, since = run, period.hours[number - run + 1]
    return Silence(total, longest, since)


def checks(figures: Figures) -> list[tuple[bool, str]]:
    """What can be said of the data in few words, each with whether it is as it should be."""
    lake, number = figures.lake, wording.number
    silent = [site for site in figures.sites if silence_of(site, figures).longest > 1]
    missing = unexplained(lake.account)
    wrong = [balance for balance in lake.balances if not balance.is_right]
    behind = {balance.table for balance in lake.balances if balance.behind}
    failed = [run for run in lake.runs if run.outcome in ("failed", "incomplete", "gap")]
    said: list[tuple[object, str, str]] = [
        (silent, f"{_some(silent, 'site is', 'sites are')} silent for two hours or more in a row",
         "No site is silent for two hours in a row"),
        (missing, f"{number(abs(missing))} lines are not accounted for",
         f"All {number(lake.account.get('lines', 0))} lines are accounted for"),
        (wrong, f"{_some(wrong, 'sum differs', 'sums differ')} between tables", "The sums of all tables agree"),
        (behind, f"{_some(behind, 'table does', 'tables do')} not hold all events yet", "Every table holds all events"),
        (failed, f"{len(failed)} of the last {_some(lake.runs, 'run', 'runs')} {'was' if len(failed) == 1 else 'were'} "
         "not done in full", "The last runs were all done"),
        (lake.gaps, f"{_some(lake.gaps, 'gap of a stream is', 'gaps of a stream are')} open",
         "No gap of a stream is open"),
    ]  # fmt: skip
    return [(not amiss, bad if amiss else good) for amiss, bad, good in said]


def _some(of: Collection[object], one: str, more: str) -> str:
    return f"{len(of):,} {one if len(of) == 1 else more}"
