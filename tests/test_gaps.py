"""When a gap of a stream is healed: claims about the rule, without Spark."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from parsely_spark.tables.gaps import Gap, Listing, OpenGap, open_gaps

A, B = "s3a://parsely-dw-a/events", "s3a://parsely-dw-b/events"
LATE_H = 6  # by the documentation


def at(text: str) -> datetime:
    """An instant of the 14th, or of another day of January 2026: ``12:30`` or ``15T12:30``."""
    day, _, time = text.rpartition("T")
    return datetime.fromisoformat(f"2026-01-{day or 14}T{time}:00+00:00").astimezone(UTC)


def listed(started: str, *sources: str, since: str | None = None, until: str | None = None, **more: Any) -> Listing:
    """A run that began at *started* and listed all of A, or what is said."""
    return Listing(
        started_at=at(started),
        sources=sources or (A,),
        since=None if since is None else at(since),
        until=None if until is None else at(until),
        **more,
    )


def still_open(*listings: Listing, since: str = "10:20", until: str = "12:10") -> list[OpenGap]:
    """What is open of a gap that touches the hours 10, 11 and 12."""
    return open_gaps([Gap(since=at(since), until=at(until), shards=("s-0",))], listings)


def test_without_a_run_of_batch_a_gap_is_open() -> None:
    (gap,) = still_open()
    assert (gap.sources, gap.left_out) == ((), ())


def test_a_run_that_listed_everything_late_enough_heals() -> None:
    assert not still_open(listed("19:00"))
    assert still_open(listed("18:59"))  # files of 12:00 to 13:00 may come until then
    assert at("13:00") + timedelta(hours=LATE_H) == at("19:00")


def test_the_hour_in_which_a_gap_ends_is_one_of_its_hours() -> None:
    assert still_open(listed("18:30"), until="12:00")
    assert not still_open(listed("18:30"), until="11:59")


def test_the_hours_that_were_listed_count_and_no_others() -> None:
    assert not still_open(listed("20:00", since="10:00", until="13:00"))
    assert still_open(listed("20:00", since="11:00"))
    assert still_open(listed("20:00", until="12:00"))


def test_runs_of_an_hour_each_make_up_for_one() -> None:
    each = [listed("20:00", since=f"{hour}:00", until=f"{hour + 1}:00") for hour in (10, 11, 12)]
    assert not still_open(*each)
    for missing in range(3):
        assert still_open(*each[:missing], *each[missing + 1 :])


@pytest.mark.parametrize(
    ("path", "is_open"),
    [
        ("2026/01/14/10/x.gz", True),
        ("2026/01/14/12/deeper/x.gz", True),
        ("2026/01/14/x.gz", True),  # of a whole day
        ("2026/01/14/09/x.gz", False),
        ("2026/01/14/13/x.gz", False),
        ("2026/01/13/11/x.gz", False),
        ("2026/01/13/x.gz", False),
    ],
)
def test_a_file_that_was_left_out_keeps_the_gaps_of_its_hours_open(path: str, is_open: bool) -> None:
    (*found,) = still_open(listed("19:00", left_out=(f"{A}/{path}",)))
    assert [gap.left_out for gap in found] == ([(f"{A}/{path}",)] if is_open else [])


def test_a_file_that_is_in_at_last_heals() -> None:
    broken = listed("19:00", left_out=(f"{A}/2026/01/14/11/x.gz",))
    assert not still_open(broken, listed("20:00"))


def test_every_source_in_use_has_to_be_complete() -> None:
    """Site B's files do not make up for those of A, whose bucket cannot be read since the day before."""
    (gap,) = still_open(listed("13T09:00", A), listed("20:00", B))
    assert gap.sources == ("s3a://parsely-dw-a",)
    assert not still_open(listed("13T09:00", A), listed("20:00", B), listed("20:30", A))
    assert not still_open(listed("20:00", A, B))


def test_a_source_of_long_ago_is_in_use_no_more() -> None:
    old = Listing(started_at=at("10:20") - timedelta(days=30, seconds=1), sources=(B,))
    assert not still_open(old, listed("20:00", A))
    assert still_open(Listing(started_at=at("10:20") - timedelta(days=30), sources=(B,)), listed("20:00", A))


@pytest.mark.parametrize("name", ["s3a://parsely-dw-a", "s3://parsely-dw-a/", "s3://parsely-dw-a/events/"])
def test_a_bucket_is_one_source_whatever_it_is_called(name: str) -> None:
    assert not still_open(listed("13T09:00", A), listed("20:00", name))


@pytest.mark.parametrize("part", ["/2026", "/2026/01/", "/2026/01/14", "/2026/01/14/11", "/a.csv"])
def test_a_part_of_a_source_is_none(part: str) -> None:
    assert still_open(listed("20:00", A + part))
    assert not still_open(listed("20:00", A + part), listed("20:00", A))


def test_each_gap_is_judged_by_itself() -> None:
    gaps = [
        Gap(since=at("01:10"), until=at("02:10"), shards=("s-0",)),
        Gap(since=at("10:20"), until=at("12:10"), shards=()),
    ]
    assert [gap.since for gap in open_gaps(gaps, [listed("12:00")])] == [at("10:20")]
