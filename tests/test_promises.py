"""The promises: for any events in any split, order and repetition, the tables of one run, and the oracle's."""

from __future__ import annotations

import gzip
import os
import shutil
from collections import defaultdict
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from lakes import DERIVED, readable, rows_of
from oracle import read_lines, sessions, unique_events
from oracle_tables import as_text, tables
from worlds import IN_DOUBT, RUNS, Happening, worlds_of

from parsely_spark import ingest, small_work
from parsely_spark.pipelines.batch import run_batch
from parsely_spark.pipelines.verify import run_verify
from parsely_spark.progress import Progress
from parsely_spark.tables.catalog import Lake

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
# Each takes about a minute and holds thirty worlds; `make soak` runs more.
EXAMPLES = int(os.environ.get("PARSELY_SPARK_SOAK", "1"))


def deliver(folder: Path, worlds: list[list[Happening]]) -> list[Path]:
    """Write what each run finds, as a bucket of its own; return the buckets."""
    files: dict[tuple[int, int], list[str]] = defaultdict(list)
    for number, world in enumerate(worlds):
        for event, happening in enumerate(world):
            for run, file, line in happening.lines(f"site{number}", event):
                files[run, file].append(line)
    for (run, file), lines in files.items():
        path = folder / str(run) / "events/2026/01/15" / f"{file:02d}" / "chunk.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress("".join(f"{line}\n" for line in lines).encode()))
    return [folder / str(run) for run in range(RUNS) if (folder / str(run)).exists()]


@settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=(Phase.reuse, Phase.generate),  # no other seed is simpler
)
@given(seed=st.integers(0, 2**32))
def test_any_split_order_and_repetition_ends_in_the_tables_of_one_run_and_of_the_oracle(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    """run(A or B) = run(A); run(B) = run(B); run(A) = run(A); run(A); run(B), for sites of every kind at once."""
    folder = tmp_path_factory.mktemp("worlds")
    buckets = deliver(folder, worlds_of(seed))
    expected = unique_events((line for bucket in buckets for line in read_lines(bucket)), datetime.now(UTC))
    parts, whole = Lake(spark, str(folder / "parts")), Lake(spark, str(folder / "whole"))
    # when: run by run, the first twice; and all at once
    shutil.copytree(buckets[0], folder / "again")
    summaries = []
    for number, bucket in enumerate((*buckets, folder / "again")):
        with pytest.MonkeyPatch.context() as patch:
            if number % 2:  # each second one as if the lake was large
                patch.setattr(small_work, "MOST_MET_BYTES", -1)
                patch.setattr(ingest, "MOST_MERGED_AT_ONCE", 0)
            summaries.append(run_batch(parts, [str(bucket)], QUIET))
    at_once = run_batch(whole, [str(bucket) for bucket in buckets], QUIET)
    # then
    assert summaries[-1].inserted == 0
    assert sum(summary.inserted for summary in summaries) == at_once.inserted == len(expected.events)
    assert (at_once.lines, at_once.duplicate) == (expected.lines, expected.duplicate)
    assert rows_of(parts, "events", but={IN_DOUBT}) == rows_of(whole, "events", but={IN_DOUBT})
    events, is_bot = list(expected.events.values()), lambda user_agent, ua_browser: False
    wanted = {"sessions": list(sessions(events, is_bot).values()), **tables(events, is_bot)}
    for table in DERIVED:
        assert rows_of(parts, table) == rows_of(whole, table), table
        assert readable(parts, table) == as_text(wanted[table]), table
    assert run_verify(parts, QUIET, sample=0.0).is_right  # the sums; the rows are those of `whole`, made from nothing
    shutil.rmtree(folder)
