"""Shards that are read at the same time: nothing is lost, and an error of one is that of all."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

import pytest

from parsely_spark.sources.kinesis import at_once
from parsely_spark.sources.kinesis.at_once import MOST_AT_ONCE, read_at_once

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.mark.parametrize("shards", [0, 1, 3, 3 * MOST_AT_ONCE])
def test_all_that_is_there_comes_once_and_each_shard_in_its_order(shards: int) -> None:
    def read(shard: int) -> Iterator[tuple[int, int]]:
        for number in range(shard % 5 * 20):
            yield shard, number

    found = list(read_at_once(range(shards), read))
    assert sorted(found) == [(shard, number) for shard in range(shards) for number in range(shard % 5 * 20)]
    for shard in range(shards):
        assert [number for of, number in found if of == shard] == list(range(shard % 5 * 20))


def test_shards_wait_at_the_same_time() -> None:
    """Each of them is begun before any has given something."""
    all_begun = threading.Barrier(MOST_AT_ONCE, timeout=20)

    def read(shard: int) -> Iterator[int]:
        all_begun.wait()
        yield shard

    asked = list(range(MOST_AT_ONCE))
    assert sorted(read_at_once(asked, read)) == asked


def test_what_goes_wrong_with_one_ends_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(at_once, "_LOOK_S", 0.01)
    ended = threading.Event()

    def read(shard: int) -> Iterator[int]:
        if shard == 1:
            raise ValueError("shard 1")
        try:
            while True:  # more than anybody takes
                yield shard
        finally:
            ended.set()

    with pytest.raises(ValueError, match="shard 1"):
        for _ in read_at_once([0, 1], read):
            pass
    assert ended.wait(20)


def test_whoever_takes_no_more_leaves_no_thread_behind() -> None:
    def read(shard: int) -> Iterator[int]:
        while True:
            yield shard

    before = threading.active_count()
    found = read_at_once([0, 1], read)
    assert next(found) in (0, 1)
    found.close()
    deadline = time.monotonic() + 20
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
