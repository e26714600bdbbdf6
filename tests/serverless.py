"""Refuses, of a session of Spark Connect, what Databricks' serverless compute refuses.

By its documentation of limitations: nothing is cached, and of the session's settings few can be set. The words of its
error are those that users report.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from pyspark.errors.exceptions.connect import AnalysisException
from pyspark.sql.connect.conf import RuntimeConf
from pyspark.sql.connect.dataframe import DataFrame

if TYPE_CHECKING:
    import pytest

SETTABLE = (
    "spark.sql.ansi.enabled",
    "spark.sql.legacy.timeParserPolicy",
    "spark.sql.session.timeZone",
    "spark.sql.shuffle.partitions",
)


def restrict(patch: pytest.MonkeyPatch) -> None:
    """Restrict every session of this process."""
    usual = RuntimeConf.set

    def set_few(conf: RuntimeConf, key: str, value: Any) -> None:
        if key not in SETTABLE:
            raise _error("CONFIG_NOT_AVAILABLE", f"Configuration {key} is not available.")
        usual(conf, key, value)

    patch.setattr(RuntimeConf, "set", set_few)
    for name in ("persist", "cache", "unpersist", "checkpoint", "localCheckpoint"):
        patch.setattr(DataFrame, name, _refuse)


def _refuse(*_: object, **__: object) -> NoReturn:
    raise _error("NOT_SUPPORTED_WITH_SERVERLESS", "PERSIST TABLE is not supported on serverless compute.")


def _error(condition: str, sentence: str) -> AnalysisException:
    return AnalysisException(f"[{condition}] {sentence}", errorClass=condition)
