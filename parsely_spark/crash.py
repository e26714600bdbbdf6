"""Places at which a run can be made to die, to show that no crash loses or doubles anything."""

from __future__ import annotations

import os
import signal

VARIABLE = "PARSELY_SPARK_CRASH_AT"

# In the order in which a run of `batch` comes by.
POINTS = (
    "listed",
    "parsed",
    "inserted events",
    "inserted rejected lines",
    "recorded files",
    "ingested",
    "folded sessions",
    "folded pageviews",
    "recorded run",
)
# Likewise, of `stream`; the fifth is the last before Spark notes that a batch is done.
STREAM_POINTS = (
    "began batch",
    "parsed",
    "inserted events",
    "inserted rejected lines",
    "ended batch",
    "folded sessions",
    "folded pageviews",
    "recorded run",
)
# Likewise, of `forget`.
FORGET_POINTS = ("remembered", "erased lines", "erased events", "folded sessions", "purged")
# Likewise, of `migrate`.
MIGRATE_POINTS = ("added columns", "moved values", "migrated events")


def may_crash(point: str) -> None:
    """End this process by SIGKILL, as a machine that fails would, if the environment names this *point*."""
    assert point in POINTS + STREAM_POINTS + FORGET_POINTS + MIGRATE_POINTS, point
    if os.environ.get(VARIABLE) == point:
        die()


def die() -> None:
    """End this process in its tracks; tests have another way to."""
    os.kill(os.getpid(), signal.SIGKILL)
