"""What is in the tables that a run wrote, read from their files: nobody's word is taken for it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow.compute as pc
import pyarrow.dataset as ds

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True)
class Counts:
    """Numbers in which all who did the work agree.

    Attributes:
        events: rows, each event once.
        hours: partitions of the events.
        sessions: rows of the tracker's sessions.
        session_events: the events in these.
        pageviews: rows of pages seen in these.
        engaged_s: the seconds of engagement in these pages.
    """

    events: int
    hours: int
    sessions: int
    session_events: int
    pageviews: int
    engaged_s: int


def counts_of(out: Path) -> Counts:
    """Count what is in the tables under *out*, which Delta, or plain Parquet, has."""
    events = _files(out, "events")
    sessions = ds.dataset(_files(out, "sessions"), format="parquet")
    pageviews = ds.dataset(_files(out, "pageviews"), format="parquet")
    # Ours hold more: sessions that closeness in time makes, and pages that nobody saw.
    is_tracked = pc.field("session_source") == "tracker" if "session_source" in sessions.schema.names else None
    in_session = pc.field("session_key").is_valid()
    if "_is_idle" in pageviews.schema.names:
        in_session &= ~pc.field("_is_idle")
    of_sessions = sessions.to_table(columns=["events"], filter=is_tracked)
    of_pages = pageviews.to_table(columns=["engaged_s"], filter=in_session)
    return Counts(
        events=ds.dataset(events, format="parquet").count_rows(),
        hours=len({file.rpartition("/")[0] for file in events}),
        sessions=of_sessions.num_rows,
        session_events=pc.sum(of_sessions["events"]).as_py(),
        pageviews=of_pages.num_rows,
        engaged_s=pc.sum(of_pages["engaged_s"]).as_py(),
    )


def _files(out: Path, table: str) -> list[str]:
    """The data files of *table*: those that Delta's log names, a folder's, or one file."""
    folder = out / table
    if not (folder / "_delta_log").is_dir():
        return [str(file) for file in folder.rglob("*.parquet")] or [str(out / f"{table}.parquet")]
    live: set[str] = set()
    for commit in sorted((folder / "_delta_log").glob("*[0-9].json")):
        for action in map(json.loads, commit.read_text(encoding="utf-8").splitlines()):
            if "remove" in action:
                live.discard(action["remove"]["path"])
            if "add" in action:
                assert not action["add"].get("deletionVector"), f"{commit} marks rows deleted, which is not read here"
                live.add(action["add"]["path"])
    return [str(folder / path) for path in live]
