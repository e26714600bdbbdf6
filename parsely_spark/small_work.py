"""How Spark works where there is little to do.

A run over an hour of a small site is some hundred jobs over a few rows each. To write, compile and load code for each
of them takes longer than to do it without, and to note which rows of a small file have gone longer than to write the
others again.
"""

from __future__ import annotations

from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, NamedTuple
from weakref import WeakKeyDictionary

from parsely_spark.jvm import is_driver

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from pyspark.sql import SparkSession

# Measured on 2 cores: all tables took 43 s with generated code and 32 s without for 1,000 new events; for 20,000, the
# folds 46 s and 36 s, while to read and insert them took the same time. Where code begins to pay was not measured.
MOST_FOLDED_EVENTS = 50_000
MOST_MERGED_AT_ONCE = 50_000  # events, also where a merge for new hours alone would not shuffle them; chosen
MOST_READ_BYTES, MOST_READ_GZ_BYTES = 40 * 2**20, 2 * 2**20  # of about 10,000 lines, and of files with them
MOST_LISTED_FILES = 10_000  # whose names are looked for in the ledger
# New rows meet stored ones. Where millions of events are stored, those may be many.
MOST_MET_BYTES = 4 * 2**30
# Without deletion vectors, the 32 s were 26. A merge then writes each file again in which it finds a row.
MOST_WRITTEN_AGAIN_BYTES = 128 * 2**20

_WITHOUT_CODE = {"spark.sql.codegen.wholeStage": "false", "spark.sql.codegen.factoryMode": "NO_CODEGEN"}
_WITHOUT_VECTORS = {"spark.databricks.delta.merge.deletionVectors.persistent": "false"}


class _Held(NamedTuple):
    """A setting of a session that blocks need, and what it was before the first of them."""

    blocks: int
    before: str | None


# Threads share a session, and the block that ends last need not be the one that began first.
_held: WeakKeyDictionary[SparkSession, dict[str, _Held]] = WeakKeyDictionary()
_lock = Lock()


@contextmanager
def small_work(spark: SparkSession, *, is_small: bool, stored_bytes: int) -> Iterator[None]:
    """Do what is in the block as suits its size; the settings of the session are as before in the end.

    Blocks may overlap, in each other or in threads: a setting stays for as long as one of them needs it.

    Args:
        spark: the session. One of Connect stays as it is.
        is_small: whether few events are new.
        stored_bytes: the size of the table ``events`` that they are added to.
    """
    settings = _settings(stored_bytes) if is_small and is_driver(spark) else {}
    _hold(spark, settings)
    try:
        yield
    finally:
        _let_go(spark, settings)


def looking(spark: SparkSession) -> AbstractContextManager[None]:
    """Ask for a few rows, as those of commits are, in the block. A run with nothing new does little else."""
    return small_work(spark, is_small=True, stored_bytes=0)


def _settings(stored_bytes: int) -> dict[str, str]:
    if stored_bytes > MOST_MET_BYTES:
        return {}
    return _WITHOUT_CODE | (_WITHOUT_VECTORS if stored_bytes <= MOST_WRITTEN_AGAIN_BYTES else {})


def _hold(spark: SparkSession, settings: dict[str, str]) -> None:
    with _lock:
        held = _held.setdefault(spark, {})
        for key, value in settings.items():
            if key not in held:
                held[key] = _Held(0, spark.conf.get(key, None))
                spark.conf.set(key, value)
            held[key] = held[key]._replace(blocks=held[key].blocks + 1)


def _let_go(spark: SparkSession, settings: dict[str, str]) -> None:
    with _lock:
        held = _held[spark]
        for key in settings:
            held[key] = held[key]._replace(blocks=held[key].blocks - 1)
            if held[key].blocks:
                continue
            before = held.pop(key).before
            if before is None:
                spark.conf.unset(key)
            else:
                spark.conf.set(key, before)
