"""The table ``videoviews``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark import columns
from parsely_spark.tables.folds.in_session import FIRST_AT, LAST_AT, SEEN_WITH, depth, idle_runs, keys, named_by_event
from parsely_spark.tables.folds.parts import (
    CHANNEL,
    CONTENT_PARTS,
    DEVICE,
    IS_BOT,
    PLACE,
    SESSION_CELLS,
    VIDEOSTARTS,
    WATCHED_S,
    content,
    is_videostart,
    no_event,
    part,
    text_field,
)
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.transforms.fold import Derived, Fold
from parsely_spark.transforms.measures import First, Max

if TYPE_CHECKING:
    from parsely_spark.reporting import DepthSettings


def videoviews(depths: DepthSettings) -> Fold:
    """The table, with what counts as watching."""
    return Fold(
        name="videoviews",
        grain="one row per video played in a session: per videostart_id, without one per video",
        of=named_by_event(columns.is_of_video),
        runs=idle_runs(columns.is_of_video),
        follows=SESSIONS,
        prune_by=("_first_at", "_last_at"),
        leaves_out=no_event,
        columns=(
            *keys(
                "videoview_key",
                "videostart_id",
                "Ties vheartbeats to their videostart; null from the iOS SDK",
                text_field("metadata_canonical_url"),
            ),
            part(
                "_video",
                "event_at",
                "Time of the first videostart, else of the first vheartbeat, UTC",
                "timestamp",
                "started_at",
            ),
            Max(
                "last_watched_at",
                "Time of the last vheartbeat, UTC",
                lambda: F.when(columns.is_action("vheartbeat"), F.col("event_at")),
                "timestamp",
            ),
            VIDEOSTARTS,
            Derived(
                "is_continuation",
                "boolean",
                "Whether only vheartbeats are here, as of a tab that was resumed in a later session",
                lambda row: row("videostarts") == 0,
            ),
            WATCHED_S,
            depth("watched_s", ("skim", "watch", "deep"), skim_s=depths.skim_s, deep_s=depths.deep_watch_s),
            part("_video", "video_id", "Id or URL of the video: metadata_canonical_url"),
            part("_video", "video_s", "Length of the video, s", "bigint"),
            part("_video", "host_url", "url_clean of the page it plays on"),
            *CONTENT_PARTS,
            *SEEN_WITH,
            IS_BOT,
            *SESSION_CELLS,
            First(
                "_video",
                "State: the first videostart, else the first vheartbeat",
                columns.is_of_video,
                {
                    "video_id": text_field("metadata_canonical_url"),
                    "video_s": columns.video_s,
                    "host_url": text_field("url_clean"),
                },
                types={"video_s": "bigint"},
                prefers=is_videostart,
            ),
            content(prefers=is_videostart),
            CHANNEL,
            DEVICE,
            PLACE,
            FIRST_AT,
            LAST_AT,
        ),
    )
