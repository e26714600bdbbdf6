"""Rows go when they are old, and what was made of them stays as it is for as long as it is kept itself."""

from __future__ import annotations

import gzip
import json
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from lakes import DERIVED, readable, rows_of
from oracle import sessions, unique_events
from oracle_tables import as_text, tables
from plain_events import events
from pyspark.sql import functions as F

from parsely_spark.cli import main, understand
from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.pipelines.batch import Limits, run_batch
from parsely_spark.pipelines.forget import Wish, run_forget
from parsely_spark.pipelines.maintain import Care, run_maintain
from parsely_spark.pipelines.rebuild import run_rebuild
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.commits import history, said
from parsely_spark.tables.expiry import expire_events, expire_rows
from parsely_spark.tables.folding import FOLDED, fold_new_events, rebuild_fold, state_of
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.tables.retention import announced
from parsely_spark.tables.write import insert_events

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
BORDER = datetime(2026, 2, 1, tzinfo=UTC)
A_DAY, NOTICE = timedelta(days=1), timedelta(hours=20)


def line(event_id: str, at: datetime, visitor: str, *, session: datetime | None = None, **fields: Any) -> bytes:
    """An event; without a *session*, as an app sends it."""
    ms = round(at.timestamp() * 1000)
    event: dict[str, Any] = {
        "event_id": event_id,
        "apikey": "x.example",
        "action": "pageview",
        "visitor_site_id": visitor,
    }
    event |= {"timestamp_info_nginx_ms": ms, "ts_action": at.strftime("%Y-%m-%d %H:%M:%S")}
    event |= {"url": "https://x.example/a?b", "url_clean": "https://x.example/a", "metadata_title": "A"}
    if session is not None:
        event |= {"session_id": 1, "session_timestamp": round(session.timestamp() * 1000), "pageview_id": event_id}
    return json.dumps(event | fields).encode()


def old_and_new() -> Iterator[bytes]:
    """Around the border, and far from it on both sides; sessions of both kinds that cross it."""
    crossing = BORDER - timedelta(minutes=10)
    for minutes in (0, 5, 9, 15, 30):
        at = crossing + timedelta(minutes=minutes)
        yield line(f"tracked {minutes}", at, "tracked", session=crossing, url_clean=f"https://x.example/{minutes}")
        yield line(f"idle {minutes}", at, "idle")
    for days in (-30, -9, -1, 1, 7, 9, 20):
        at = BORDER + days * A_DAY + timedelta(hours=5)
        yield line(f"daily {days}", at, "daily", session=at)
        beat = {"action": "heartbeat", "engaged_time_inc": 5, "pageview_id": f"daily {days}"}
        yield line(f"daily beat {days}", at + timedelta(seconds=9), "daily", session=at, **beat)
        yield line(f"app {days}", at, "app", url_clean=f"https://x.example/of/{days}")
    yield line(
        "converts", BORDER - 3 * A_DAY, "daily", action="conversion", extra_data={"_conversion_type": "purchase"}
    )


def late() -> Iterator[bytes]:
    """Of days that are kept, and of rows whose first events are not there any more."""
    crossing = BORDER - timedelta(minutes=10)
    yield line("late tracked", BORDER + timedelta(minutes=7), "tracked", session=crossing)
    yield line("late idle", BORDER + timedelta(minutes=33), "idle")
    yield line("late daily", BORDER + 9 * A_DAY + timedelta(hours=5, seconds=40), "late", session=BORDER + 9 * A_DAY)


def deliver(folder: Path, name: str, lines: list[bytes]) -> str:
    path = folder / "bucket/events/2026/02/25/00" / f"{name}.gz"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(b"\n".join(lines) + b"\n"))
    return str(folder / "bucket")


def expected(lines: list[bytes]) -> dict[str, list[str]]:
    """The derived tables of all *lines*, by the oracle."""
    events = list(unique_events(lines, datetime.now(UTC)).events.values())
    rows = {"sessions": list(sessions(events, no_bot).values()), **tables(events, no_bot)}
    return {table: as_text(rows[table]) for table in DERIVED}


def no_bot(user_agent: str | None, ua_browser: str | None) -> bool:
    return False


@pytest.fixture(scope="module")
def kept(spark: SparkSession, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lake, Path]:
    """A lake whose events before the border have gone, and the folder of its bucket."""
    folder = tmp_path_factory.mktemp("kept")
    lake = Lake(spark, str(folder / "lake"))
    source = deliver(folder, "first", list(old_and_new()))
    run_batch(lake, [source], QUIET)
    days = (datetime.now(UTC).date() - BORDER.date()).days
    care = Care(optimizes=False, vacuums=False, keep_days={"events": days})
    before = lake.read("events").count()
    # Announced, and not done as long as a run may not know of it.
    done = [run_maintain(lake, QUIET, care) for _ in range(2)]
    assert [of.expired for of in done] == [{"events": 0}] * 2
    assert lake.read("events").count() == before
    (said,) = announced(lake.properties_of("events"))
    assert said.day == BORDER.date()
    return lake, folder


def test_events_of_days_that_are_gone_stay_gone_and_what_was_made_of_them_stays(kept: tuple[Lake, Path]) -> None:
    """Late events of other days still correct their rows; every table is that of all events together."""
    lake, folder = kept
    old = [json.loads(one) for one in old_and_new()]
    gone = [one for one in old if one["ts_action"] < str(BORDER.date())]
    assert 10 < len(gone) < len(old) - 10
    # when: a day later
    night = datetime.now(UTC) + A_DAY
    oldest, deleted = expire_events(lake, oldest=BORDER.date(), now=night, after=NOTICE, run_id="night")
    # then
    assert (oldest, deleted) == (BORDER.date(), len(gone))
    assert {row["event_id"] for row in lake.read("events").collect()} == {
        one["event_id"] for one in old if one not in gone
    }
    # when: old events come again, with a new one of an old day, and late ones of days that are kept
    more = list(late())
    new_but_old = line("too late", BORDER - A_DAY, "daily", session=BORDER - A_DAY)
    done = run_batch(lake, [deliver(folder, "again", [*old_and_new(), new_but_old, *more])], QUIET)
    # then
    assert (done.inserted, done.rejected, done.duplicate) == (len(more), len(gone) + 1, len(old) - len(gone))
    assert lake.read("rejected_lines").count() == 0
    wanted = expected([*old_and_new(), *more])
    for table in DERIVED:
        assert readable(lake, table) == wanted[table], table
    # and: what can be compared is, and only that is made again
    assert_right(lake)
    rows = {table: rows_of(lake, table) for table in DERIVED}
    run_rebuild(lake, (), QUIET)
    assert {table: rows_of(lake, table) for table in DERIVED} == rows
    assert_right(lake)


def assert_right(lake: Lake) -> None:
    findings = run_verify(lake, QUIET)
    assert findings.is_right, (findings.differences, findings.unbalanced)
    assert findings.whole_since == {
        **dict.fromkeys(("sessions", "pageviews", "videoviews"), "2026-02-09"),
        **dict.fromkeys(("visitor_days", "posts", "post_versions", "post_hours", "conversions"), "2026-02-01"),
    }


def test_a_row_of_days_that_are_kept_is_still_compared(kept: tuple[Lake, Path]) -> None:
    lake, _ = kept
    recent, old = (F.col("date") == F.lit(BORDER.date() + days * A_DAY) for days in (20, -9))
    for rows, is_found in ((old, False), (recent, True)):
        lake.delta("sessions").update(rows, {"engaged_s": F.col("engaged_s") + 1})
        assert run_verify(lake, QUIET, tables=("sessions",)).is_right is not is_found
        lake.delta("sessions").update(rows, {"engaged_s": F.col("engaged_s") - 1})


def test_rows_of_a_derived_table_go_at_once_and_it_still_says_how_far_it_is(kept: tuple[Lake, Path]) -> None:
    lake, _ = kept
    before, now = state_of(lake, "visitor_days"), datetime.now(UTC)
    deleted = [expire_rows(lake, "visitor_days", oldest=date(2026, 1, 25), now=now, run_id=f"{n}") for n in range(2)]
    assert deleted == [4, 0]
    assert lake.read("visitor_days").agg(F.min("date")).first()[0] == date(2026, 1, 29)
    assert state_of(lake, "visitor_days").folded == before.folded
    assert FOLDED in said(history(lake, "visitor_days", 1)[0])
    findings = run_verify(lake, QUIET, tables=("visitor_days",))
    assert (findings.is_right, findings.whole_since) == (True, {"visitor_days": "2026-02-01"})


def test_what_takes_a_rebuild_is_mended_by_one_also_where_days_are_gone(kept: tuple[Lake, Path]) -> None:
    lake, folder = kept
    lake.delta("sessions").restoreToVersion(1)
    with pytest.raises(LakeError, match=r"run `parsely-spark rebuild --tables sessions`"):
        run_batch(lake, [str(folder / "bucket")], QUIET, Limits(tables=("sessions",)))
    run_rebuild(lake, ("sessions",), QUIET)
    assert run_verify(lake, QUIET, tables=("sessions",)).is_right
    assert not lake.read("sessions").where(F.col("date") < F.lit(BORDER.date())).isEmpty()


def put(lake: Lake, *days: int) -> None:
    """An event of noon of each of these days of January."""
    rows = [{"event_id": f"of {day}", "at": (day - 14) * 86_400, "session_id": day} for day in days]
    insert_events(lake, events(lake.spark, *rows), are_few=True, says={"run_id": str(days)})


def nights(lake: Lake, *oldest: int) -> list[tuple[int, int]]:
    """What is kept, and how many events have gone, night after night, by what is wished in each."""
    begin = datetime.now(UTC)
    done = [
        expire_events(lake, oldest=date(2026, 1, day), now=begin + number * A_DAY, after=NOTICE, run_id=f"{number}")
        for number, day in enumerate(oldest)
    ]
    return [(kept.day, deleted) for kept, deleted in done]


def test_what_is_announced_only_rises_and_what_was_not_meant_is_spared(lake: Lake) -> None:
    """Each night announces a day, and does what was announced the night before, as far as that is still wished."""
    put(lake, 5, 18, 22, 30)
    assert nights(lake, 20, 25, 3, 26) == [(20, 0), (25, 2), (25, 0), (26, 1)]
    assert [row["event_id"] for row in lake.read("events").collect()] == ["of 30"]


def test_events_that_somebody_brings_back_are_not_counted_again(lake: Lake) -> None:
    put(lake, 5, 30)
    fold_new_events(lake, SESSIONS, run_id="1")
    assert nights(lake, 20, 20) == [(20, 0), (20, 1)]
    assert fold_new_events(lake, SESSIONS, run_id="2") == 0
    lake.delta("events").restoreToVersion(1)
    with pytest.raises(LakeError, match=r"events were deleted, changed or restored.*run `parsely-spark rebuild`"):
        fold_new_events(lake, SESSIONS, run_id="3")
    assert lake.read("sessions").agg(F.sum("events")).first()[0] == 2


def test_a_rebuild_that_would_lose_rows_is_refused(lake: Lake) -> None:
    """As of a table of events that was made anew, of less."""
    put(lake, 5, 30)
    fold_new_events(lake, SESSIONS, run_id="1")
    lake.delta("events").delete("date < '2026-01-20'")
    with pytest.raises(LakeError, match=r"rows from 2026-01-05 on.* begin with 2026-01-30: older rows could not be"):
        rebuild_fold(lake, SESSIONS, run_id="2")


def test_forget_finds_rows_whose_events_have_gone(kept: tuple[Lake, Path]) -> None:
    lake, _ = kept
    assert lake.read("sessions").where("visitor_site_id = 'daily' and date < '2026-01-30'").count() > 1
    proof = run_forget(lake, QUIET, Wish(visitors=("daily",)))
    assert proof.remaining == 0
    for table in ("events", "sessions", "pageviews", "visitor_days", "conversions"):
        assert lake.read(table).where("visitor_site_id = 'daily'").isEmpty()
    assert run_verify(lake, QUIET).is_right
    # What was made of events of an old day tells nothing of a visitor, and cannot be made again.
    assert not lake.read("post_hours").where("date < '2026-01-30'").isEmpty()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("events", r"--keep-days='events' is no table with its days; write it as events:90\."),
        ("events:many", "is no table with its days"),
        ("events:3", r"--keep-days events=3 is less than 8; give a whole number of 8 or more\."),
        ("sessions:90", r"rows of pageviews follow those of sessions; keep them no longer\."),
    ],
)
def test_days_that_cannot_be_kept_are_refused(given: str, said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        understand(["maintain", "--lake", "l", "--keep-days", given])


@pytest.mark.parametrize("table", ["posts", "runs", "evnts"])
def test_a_table_without_days_is_refused(table: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as leaving:
        main(["maintain", "--lake", "l", "--keep-days", f"{table}:90"])
    assert leaving.value.code == 2
    assert f"--keep-days {table}: no table of that name has a date" in capsys.readouterr().err
