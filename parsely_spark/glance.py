"""What there is to see of a lake at a glance, as data and as text."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tabulate import tabulate

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from parsely_spark.tables.gaps import OpenGap

HOURS = 24
_BARS = "▁▂▃▄▅▆▇█"
_SHOWN = 5  # of what there may be many


@dataclass(frozen=True, kw_only=True)
class Site:
    """The events of a site.

    Attributes:
        apikey: the site.
        newest_at: ``event_at`` of its newest event, UTC.
        age_s: of that, seconds.
        hours: how many events it has in each of the last `HOURS` hours, the present one last.
    """

    apikey: str
    newest_at: datetime
    age_s: int
    hours: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A run as ``runs`` has it, by its column names; of a stream, the rows of its last days together.

    Attributes:
        age_s: how long ago it ended, or was last heard of, seconds.
        lag_ms: of a stream, how far behind the newest record its last batch with records was, ms.
        lines_per_s: of that batch.
        batch_ms: how long that took, ms.
    """

    job: str
    run_id: str
    started_at: datetime
    ended_at: datetime
    age_s: int
    outcome: str
    error: str | None
    files: int | None
    quarantined: int | None
    lines: int
    inserted: int
    duplicate: int
    rejected: int
    lag_ms: int | None
    lines_per_s: int | None
    batch_ms: int | None


@dataclass(frozen=True, kw_only=True)
class Account:
    """What became of the lines that the runs of the last days have read.

    Attributes:
        days: how many days.
        reasons: of the lines that were rejected in them for the first time, how many by each reason.
        unknown_fields: that the schema does not know; their values are rescued.
        broken: the objects that could not be read, in 30 days, and have no whole one in their place, with why.
    """

    days: int
    lines: int
    inserted: int
    duplicate: int
    rejected: int
    blank: int
    reasons: dict[str, int]
    unknown_fields: tuple[str, ...]
    broken: dict[str, str]


@dataclass(kw_only=True)
class Status:
    """What there is to see.

    Attributes:
        lake: what names the lake on the command line.
        at: when it was looked at, UTC.
        first_hour_at: the begin of the first of the hours of `Site`.
        sites: by name.
        runs: the last ones of each job, the newest first.
        account: of their lines.
        behind: how many versions of ``events`` each derived table does not hold yet.
        gaps: what a stream may have lost and ``batch`` has not brought in, as `tables.gaps` has it.
    """

    lake: str
    at: datetime
    first_hour_at: datetime
    sites: list[Site] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    account: Account | None = None
    behind: dict[str, int] = field(default_factory=dict)
    gaps: list[OpenGap] = field(default_factory=list)

    def __str__(self) -> str:
        parts = [_events_text(self), _runs_text(self), _account_text(self), _behind_text(self), _gaps_text(self)]
        return "\n\n".join(part for part in parts if part)


def _events_text(status: Status) -> str:
    if not status.sites:
        return "No events yet."
    head = ("site", "newest event", "age", "events", "most", f"hours from {_hour(status.first_hour_at)}")
    rows = [
        (site.apikey, _time(site.newest_at), _age(site.age_s), sum(site.hours), max(site.hours), _bars(site.hours))
        for site in status.sites
    ]
    return (
        f"Events, and of the last {HOURS} hours how many, the most in one, and each (· is none)\n{_table(head, rows)}"
    )


def _bars(hours: Sequence[int]) -> str:
    most = max(hours)
    return "".join(_BARS[(len(_BARS) - 1) * count // most] if count else "·" for count in hours)


def _runs_text(status: Status) -> str:
    head = ("run of", "outcome", "ended", "age", "files", "lines", "inserted", "duplicate", "rejected", "last batch")
    counts = ("files", "lines", "inserted", "duplicate", "rejected")
    rows = [
        (
            run.job,
            run.outcome,
            _time(run.ended_at),
            _age(run.age_s),
            *(getattr(run, name) for name in counts),
            _batch(run),
        )
        for run in status.runs
    ]
    errors = [f"{run.job}: {run.error}" for run in status.runs if run.error]
    return "\n".join([_table(head, rows), *errors]) if rows else ""


def _batch(run: Run) -> str:
    if run.batch_ms is None:
        return ""
    return f"{(run.lag_ms or 0) / 1000:.1f} s behind, {run.lines_per_s:,}/s, {run.batch_ms / 1000:.1f} s"


def _account_text(status: Status) -> str:
    account = status.account
    if account is None:
        return ""
    counts = ("inserted", "duplicate", "rejected", "blank")
    sides = " + ".join(f"{getattr(account, name):,} {name}" for name in counts)
    missing = account.lines - sum(getattr(account, name) for name in counts)
    wrong = f" {missing:+,}, WHICH NOBODY CAN EXPLAIN; please report this" if missing else ""
    told = [f"Of {account.days} days: {account.lines:,} lines = {sides}{wrong}."]
    if account.reasons:
        told.append(f"Rejected for the first time: {_listed(account.reasons)}.")
    if account.unknown_fields:
        told.append(f"Fields that the schema does not know, whose values are rescued: {_some(account.unknown_fields)}.")
    for path, why in list(account.broken.items())[:_SHOWN]:
        told.append(f"Left out until a whole one is in its place: {path}: {why}")
    if len(account.broken) > _SHOWN:
        told.append(f"... and {len(account.broken) - _SHOWN:,} more files that were left out.")
    return "\n".join(told)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.items())


def _some(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return f"{', '.join(names[:_SHOWN])}{more}"


def _behind_text(status: Status) -> str:
    late = {table: versions for table, versions in status.behind.items() if versions}
    if not late:
        return "Every derived table holds all events." if status.behind else ""
    return f"Versions of events that derived tables do not hold yet: {_listed(late)}."


def _gaps_text(status: Status) -> str:
    return "\n".join(_gap_text(gap, status) for gap in status.gaps) or "No gaps of a stream are open."


def _gap_text(gap: OpenGap, status: Status) -> str:
    hours = sorted(gap.hours)
    sources = "".join(f" --source {source}" for source in gap.sources or ("URI",))
    period = f"--from {_hour(hours[0])} --until {_hour(hours[-1] + timedelta(hours=1))}"
    what = f"`parsely-spark batch{sources} {status.lake} {period}`"
    when = f" at {_time(gap.late_at)} or later" if gap.late_at > status.at else ""
    left_out = f"; {', '.join(gap.left_out)} was left out" if gap.left_out else ""
    lost = f"{_time(gap.since)} to {_time(gap.until)} of {', '.join(gap.shards)} may be lost to the stream"
    return f"Gap: {lost}; {what}{when} brings it in{left_out}."


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    return tabulate(rows, headers=head, tablefmt="simple", intfmt=",")


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


def _hour(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H}"


def _age(seconds: int) -> str:
    for unit, of in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * of:
            return f"{seconds // of} {unit}"
    return f"{seconds} s"
