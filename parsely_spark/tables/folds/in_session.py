"""What rows that lie inside a session have in common: their keys, their cell, and how they follow the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.tables.folds.parts import (
    APIKEY,
    CHANNEL_PART,
    COUNTRY_PART,
    DEVICE_PARTS,
    OF_VISITOR,
    VISITOR,
    event_field,
    idle_session_key,
    text_field,
)
from parsely_spark.transforms.fold import Attribute, Derived, Key
from parsely_spark.transforms.measures import Max, Min
from parsely_spark.transforms.sessionize import Runs

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column

    from parsely_spark.transforms.fold import Row

SEEN_WITH = (CHANNEL_PART, *DEVICE_PARTS, COUNTRY_PART)
# What tells which stored rows a run that changed may have.
FIRST_AT = Min("_first_at", "State: time of the first event", event_field("event_at"), "timestamp")
LAST_AT = Max("_last_at", "State: time of the last event", event_field("event_at"), "timestamp")


def named_by_event(of: Callable[[], Column]) -> Callable[[], Column]:
    """Of the events *of*, those that know their row by themselves: of a session of the tracker's, or of nobody."""
    return lambda: of() & (columns.has_tracker_session() | ~columns.is_somebody())


def idle_runs(of: Callable[[], Column]) -> Runs:
    """The idle sessions, in which only the events *of* make rows; all others tell how long a session was, too."""
    return Runs(
        of=lambda: columns.is_somebody() & ~columns.has_tracker_session(),
        by=OF_VISITOR,
        rows_of=of,
        longest_silence=columns.LONGEST_SILENCE,
        start=FIRST_AT.name,
        end=LAST_AT.name,
        is_run=lambda: F.col("_is_idle"),
    )


def keys(name: str, id_name: str, id_meaning: str, page: Callable[[], Column]) -> tuple[Key | Attribute, ...]:
    """The columns that identify what was looked at in a session: by *id_name*, and without that by *page*."""
    own_id = text_field(id_name)

    def without_id() -> Column:
        return F.when(own_id().isNull(), page())

    def key_of(session: Column, looked_at: Column, row: Row) -> Column:
        parts = [row("apikey"), row("visitor_site_id"), session, looked_at]
        return F.md5(F.concat_ws("_", *[F.coalesce(part, F.lit("")) for part in parts]))

    def of_event() -> Column:
        hour = F.concat_ws("T", F.col("date").cast("string"), F.lpad(F.col("hour").cast("string"), 2, "0"))
        return key_of(F.coalesce(F.col("session_key"), hour), F.coalesce(own_id(), page()), F.col)

    def of_run(row: Row) -> Column:
        return key_of(idle_session_key(row), F.coalesce(row(id_name), row("_looked_at")), row)

    return (
        Key(
            name,
            "string",
            f"md5 hex of apikey_visitor_site_id_session_key_{id_name}; without {id_name}, of the URL of the page or "
            "video in that place; without a session, of <date>T<hour> of the event in that place",
            of_event,
            of_run,
        ),
        APIKEY,
        VISITOR,
        Attribute(
            "session_key",
            "string",
            "The session, as in sessions; null where the visitor is nobody",
            event_field("session_key"),
            idle_session_key,
        ),
        Attribute(id_name, "string", id_meaning, own_id),
        Attribute("_looked_at", "string", f"State: what stands for {id_name} where there is none", without_id),
        Attribute("_is_idle", "boolean", "State: whether the session is an idle one", lambda: F.lit(False), _true),
    )


def _true(_row: Row) -> Column:
    return F.lit(True)


def depth(seconds: str, names: tuple[str, str, str], *, skim_s: int, deep_s: int) -> Derived:
    """How far somebody went: the first of *names* below *skim_s*, the last above *deep_s*.

    The meaning names the settings and not their values, for the table is created before it is known by which it is
    folded.
    """

    def value(row: Row) -> Column:
        spent = row(seconds)
        return F.when(spent < skim_s, names[0]).when(spent <= deep_s, names[1]).otherwise(names[2])

    meaning = (
        f"{names[0]} where {seconds} is below the setting skim_s, {names[2]} above deep_{names[1]}_s, else {names[1]}"
    )
    return Derived(f"{names[1]}_depth", "string", meaning, value)
