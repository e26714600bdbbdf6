"""A lake of an older release becomes one of this release, and gets extra fields: by adding alone.

Each step can be repeated: a run that dies is made good by the next one. `events` comes first, because it says for the
lake of which format it is; of each table, the format comes last.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from parsely_spark import __version__
from parsely_spark.crash import may_crash
from parsely_spark.errors import LakeError
from parsely_spark.jvm import require_driver
from parsely_spark.migrated import Migrated
from parsely_spark.schema import COMPUTED, EVENT_FIELDS
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import ALL_TABLES, EVENTS, FORGOTTEN
from parsely_spark.tables.commits import version_of
from parsely_spark.tables.extras import check_types, extras_in, with_extras
from parsely_spark.tables.folding import rebuild_fold
from parsely_spark.tables.folds import USUAL_DEPTHS, folds_of, with_followed
from parsely_spark.tables.formats import check_format, check_ours
from parsely_spark.tables.ledger import record_run
from parsely_spark.tables.migrating import Lack, add_columns, lack_of, set_properties
from parsely_spark.tables.rescued import Rescued
from parsely_spark.tables.retention import whole_of
from parsely_spark.tables.spec import FORMAT
from parsely_spark.tables.write import create_table, partition_of

if TYPE_CHECKING:
    from pyspark.sql import types as T

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import DepthSettings
    from parsely_spark.schema import Field
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.spec import TableSpec


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What the lake is to become.

    Attributes:
        tables: the derived tables to make where they are missing, with those that they follow; none means all.
        depths: what counts as reading and watching in tables that are made again.
        extra: fields that ``events`` is to have beside those of the schema, and those that it has.
        is_trial: whether only to tell what would be done.
    """

    tables: tuple[str, ...] = ()
    depths: DepthSettings = USUAL_DEPTHS
    extra: tuple[Field, ...] = ()
    is_trial: bool = False


def run_migrate(lake: Lake, progress: Progress, aim: Aim) -> Migrated:
    """Add to *lake* what it lacks, beside whatever else runs on it, and tell what that was.

    Args:
        lake: where the tables are.
        progress: is told what goes on.
        aim: what it is to become.

    Raises:
        LakeError: if the tables cannot be read or written, or are of a newer release.
    """
    require_driver(lake.spark, "migrate")
    run = _Run(lake, progress, aim)
    with storage_errors(LakeError, lake.place):
        lake.look()
        lake.require(EVENTS.name, as_declared=False)
        schemas = {table: lake.schema_of(table) for table in ALL_TABLES}
        for table, schema in schemas.items():
            if schema is not None:
                check_ours(lake.name_of(table), ALL_TABLES[table], schema.names)
                check_format(lake.name_of(table), lake.properties_of(table))
        run.migrate(schemas)
    return run.done


class _Run:
    def __init__(self, lake: Lake, progress: Progress, aim: Aim) -> None:
        self.lake, self.progress, self.aim = lake, progress, aim
        self.done = Migrated(run_id=str(uuid.uuid4()), format=FORMAT, is_trial=aim.is_trial)
        self.started_at = datetime.now(UTC)
        self.folds = {fold.name: fold for fold in folds_of((), aim.depths)}
        self._are_outdated = False  # the derived tables, of which fields of theirs were rescued

    def migrate(self, schemas: dict[str, T.StructType | None]) -> None:
        """Go from table to table."""
        wanted = {fold.name for fold in with_followed(folds_of(self.aim.tables, self.aim.depths))}
        for table, schema in schemas.items():
            if schema is None and (table == FORGOTTEN.name or (table in self.folds and table not in wanted)):
                continue
            with self.progress.step(table) as step:
                said = self.done.tables[table] = []
                if schema is None:
                    said.append("made")
                    if not self.aim.is_trial:
                        create_table(self.lake, table, partition=partition_of(self.lake))
                elif table == EVENTS.name:
                    self._events(schema, said)
                else:
                    self._table(ALL_TABLES[table], said)
                step.note("; ".join(said) or "as it should be")
            if table == EVENTS.name:
                may_crash("migrated events")
        if self.done.has_changes and not self.aim.is_trial:
            self._record()

    def _events(self, schema: T.StructType, said: list[str]) -> None:
        check_types(self.lake, schema, self.aim.extra)
        extra = {field.name: field for field in (*extras_in(schema), *self.aim.extra)}.values()
        spec = with_extras(extra)
        lack = self._lack(spec, said)
        missing = [column.name for column in lack.columns]
        if computed := [name for name, _, _ in COMPUTED if name in missing]:
            raise LakeError(
                f"{self.lake.name_of(EVENTS.name)} has no column {', '.join(computed)}, which is computed from the raw "
                "events; read those into a new lake."
            )
        if lack.columns and not self.aim.is_trial:
            add_columns(self.lake, spec)
            may_crash("added columns")
        # What was a field of ours all the time, and did not fit, does not fit now.
        is_new = lack.is_older or bool(missing)
        own = Rescued(self.lake, [field for field in EVENT_FIELDS if is_new])
        self._move(own, said, folds_read_them=True)
        self._are_outdated = own.count > 0
        self._move(Rescued(self.lake, extra), said, folds_read_them=False)
        self._finish(spec, lack, said)

    def _move(self, rescued: Rescued, said: list[str], *, folds_read_them: bool) -> None:
        if not rescued.count:
            return
        said.append(f"values of {rescued.count:,} events moved out of _rescued")
        self.done.moved += rescued.count
        if not self.aim.is_trial:
            rescued.move(run_id=self.done.run_id, folds_read_them=folds_read_them)
            may_crash("moved values")

    def _table(self, spec: TableSpec, said: list[str]) -> None:
        lack = self._lack(spec, said)
        fold = self.folds.get(spec.name)
        # To a row that holds many events nothing can be added: what it lacks is computed from them.
        whole = None if fold is None else whole_of(self.lake, fold)
        # A run that died after it had added columns to rows of which some stay has left the others to be made again.
        is_wanted = lack.columns or self._are_outdated or (lack.is_older and whole is not None)
        if fold is not None and is_wanted and version_of(self.lake, spec.name) > 0:
            said.append("made again from the events")
            if not self.aim.is_trial:
                if lack.columns and whole is not None:  # rows whose events are gone stay without
                    add_columns(self.lake, spec)
                rows = rebuild_fold(self.lake, fold, run_id=self.done.run_id, adds_columns=bool(lack.columns))
                self.done.rebuilt[spec.name] = rows
        elif lack.columns and not self.aim.is_trial:
            add_columns(self.lake, spec)
        self._finish(spec, lack, said)

    def _lack(self, spec: TableSpec, said: list[str]) -> Lack:
        lack = lack_of(self.lake, spec)
        said += [f"column {column.name} ({column.type}) added" for column in lack.columns]
        return lack

    def _finish(self, spec: TableSpec, lack: Lack, said: list[str]) -> None:
        said += [f"property {key} set" for key in lack.properties]
        said += [f"format {FORMAT} set"] * lack.is_older
        if (lack.properties or lack.is_older) and not self.aim.is_trial:
            set_properties(self.lake, spec)

    def _record(self) -> None:
        touched = {**self.done.rebuilt, EVENTS.name: self.done.moved}
        row: dict[str, Any] = {"run_id": self.done.run_id, "job": "migrate", "outcome": "done"}
        row |= {"started_at": self.started_at, "ended_at": datetime.now(UTC), "rows_touched": touched}
        row |= {"events_version": version_of(self.lake, EVENTS.name), "version": __version__}
        record_run(self.lake, row)
