"""Derived tables made again from ``events``."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parsely_spark.errors import LakeError
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.folding import rebuild_fold
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of
from parsely_spark.tables.write import create_missing_tables

if TYPE_CHECKING:
    from collections.abc import Collection

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.tables.catalog import Lake


@dataclass(frozen=True, kw_only=True)
class Rebuilt:
    """What a rebuild did: the rows of each table that it made."""

    run_id: str
    rows: dict[str, int] = field(default_factory=dict)


def run_rebuild(
    lake: Lake, tables: Collection[str], progress: Progress, depths: DepthSettings = USUAL_DEPTHS
) -> Rebuilt:
    """Make *tables* again from what is in ``events``, each in one commit: readers see the old one or the new one.

    Args:
        lake: where the tables are.
        tables: names of derived tables; none means all.
        progress: is told what goes on.
        depths: what counts as reading and watching in them.

    Raises:
        LakeError: if the tables cannot be read or written.
    """
    rebuilt = Rebuilt(run_id=str(uuid.uuid4()))
    with storage_errors(LakeError, lake.place):
        lake.look()
        lake.require(EVENTS.name)
        folds = folds_of(tables, depths)
        create_missing_tables(lake, [fold.name for fold in folds])
        for fold in folds:
            with progress.step(fold.name) as step:
                rebuilt.rows[fold.name] = rebuild_fold(lake, fold, run_id=rebuilt.run_id)
                step.note(f"{rebuilt.rows[fold.name]:,} rows")
    return rebuilt
