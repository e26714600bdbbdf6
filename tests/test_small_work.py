"""Settings that suit small work hold as long as it does, and only for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from parsely_spark.small_work import MOST_MET_BYTES, MOST_WRITTEN_AGAIN_BYTES, small_work
from parsely_spark.tables.commits import history
from parsely_spark.tables.news import News
from parsely_spark.tables.write import FIRST_LOAD, append_once

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from parsely_spark.tables.catalog import Lake

CODE, VECTORS = "spark.sql.codegen.factoryMode", "spark.databricks.delta.merge.deletionVectors.persistent"


@pytest.mark.parametrize(
    ("is_small", "stored_bytes", "expected"),
    [
        (True, 0, ("NO_CODEGEN", "false")),
        (True, MOST_WRITTEN_AGAIN_BYTES + 1, ("NO_CODEGEN", None)),
        (True, MOST_MET_BYTES + 1, ("FALLBACK", None)),
        (False, 0, ("FALLBACK", None)),
    ],
)
def test_settings_suit_the_size(
    spark: SparkSession, is_small: bool, stored_bytes: int, expected: tuple[str, str | None]
) -> None:
    """Few new events in a small table, few in a larger one, few in a large one, many."""
    with small_work(spark, is_small=is_small, stored_bytes=stored_bytes):
        assert (spark.conf.get(CODE), spark.conf.get(VECTORS, None)) == expected


@pytest.mark.parametrize("fails", [False, True])
def test_the_session_is_as_before_in_the_end(spark: SparkSession, fails: bool) -> None:
    """Also what the user had set, and after an error."""
    spark.conf.set(VECTORS, "true")
    try:
        with small_work(spark, is_small=True, stored_bytes=0):
            assert spark.conf.get(VECTORS) == "false"
            if fails:
                raise ValueError
    except ValueError:
        assert fails
    finally:
        assert (spark.conf.get(CODE), spark.conf.get(VECTORS)) == ("FALLBACK", "true")
        spark.conf.unset(VECTORS)


def test_of_blocks_that_overlap_the_last_to_end_puts_back(spark: SparkSession) -> None:
    """As in threads of one session: the first to begin is the first to end."""
    first = small_work(spark, is_small=True, stored_bytes=0)
    second = small_work(spark, is_small=True, stored_bytes=MOST_WRITTEN_AGAIN_BYTES + 1)
    first.__enter__()
    with second:
        first.__exit__(None, None, None)
        assert (spark.conf.get(CODE), spark.conf.get(VECTORS, None)) == ("NO_CODEGEN", None)
    assert (spark.conf.get(CODE), spark.conf.get(VECTORS, None)) == ("FALLBACK", None)


def test_few_are_those_that_the_newest_commits_have_brought(spark: SparkSession, lake: Lake) -> None:
    """What upkeep moves is not new; a commit that is not told of any more may have brought many."""
    rows = (
        lake.read("events")
        .sparkSession.range(60_000)
        .selectExpr("date'2026-01-15' date", "0 hour", "id::string event_id")
    )
    append_once(lake, "events", rows, work=FIRST_LOAD, says={"run_id": "1"})
    lake.delta("events").optimize().executeCompaction()
    append_once(lake, "events", rows.limit(5), work=FIRST_LOAD._replace(number=2), says={"run_id": "2"})
    newest = int(history(lake, "events", 1)[0]["version"])
    news = News(lake)
    assert news.version == newest
    assert [news.are_few(version) for version in range(newest)] == [False, *[True] * (newest - 1)]
    assert News(lake).size_bytes > 0
