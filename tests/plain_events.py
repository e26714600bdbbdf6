"""Rows of `events` by the fields that a claim is about."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from parsely_spark.tables.catalog import EVENTS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

NOON = datetime(2026, 1, 14, 12, tzinfo=UTC)


def events(spark: SparkSession, *given: dict[str, Any]) -> DataFrame:
    """Rows of events that name only the fields a claim is about; `at` is seconds after noon."""
    schema = ", ".join(f"`{column.name}` {column.type}" for column in EVENTS.columns)
    rows = []
    for number, fields in enumerate(given):
        at = NOON + timedelta(seconds=fields.get("at", 0))
        usual = {
            "apikey": "a.example",
            "event_id": f"e{number}",
            "action": "pageview",
            "visitor_site_id": "v",
            "session_key": f"key of {fields.get('session_id', 1)}" if fields.get("session", True) else None,
            "session_id": 1,
            "session_timestamp": int(NOON.timestamp() * 1000),
            "timestamp_info_nginx_ms": int(at.timestamp() * 1000),
            "event_at": at,
            "is_bot": False,
            "date": at.date(),
            "hour": at.hour,
        }
        row = usual | {name: value for name, value in fields.items() if name != "at"}
        rows.append(tuple(row.get(column.name) for column in EVENTS.columns))
    return spark.createDataFrame(rows, schema)
