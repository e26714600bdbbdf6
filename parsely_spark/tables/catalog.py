"""What the tables are and where they lie: one declaration of each table, one place that knows their names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from delta.tables import DeltaTable
from pyspark.errors import AnalysisException
from pyspark.sql import types as T

from parsely_spark.errors import LakeError
from parsely_spark.schema import COMPUTED, EVENT_FIELDS
from parsely_spark.storage_errors import look_at
from parsely_spark.tables.folds import FOLDS
from parsely_spark.tables.formats import check_columns, check_format
from parsely_spark.tables.spec import VISITOR, TableColumn, TableSpec, of_fold, properties_in_words
from parsely_spark.transforms.parse import REASONS

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession


EVENTS = TableSpec(
    name="events",
    grain="one row per event (event_id within apikey)",
    columns=(
        *(TableColumn(f.name, f.spark_type.simpleString(), f.comment) for f in EVENT_FIELDS),
        *(TableColumn(*computed) for computed in COMPUTED),
    ),
    partition_by=("date", "hour"),
    prune_by=("event_at", VISITOR, "apikey"),
    sort_by=VISITOR,
    # The derived tables read what is new from the change feed; commits that only insert add no files for it.
    properties={"delta.enableChangeDataFeed": "true"},
)

REJECTED_LINES = TableSpec(
    name="rejected_lines",
    grain="one row per distinct line that is no event",
    columns=(
        TableColumn(
            "line",
            "string",
            "The line; base64 where it is not UTF-8; null where too long. A record of a CSV file is JSON where it "
            "has the cells of the header. With a privacy setting the members that it was judged by, or null",
        ),
        TableColumn("line_sha256", "string", "sha256 hex of the line's bytes; of the file's version where too long"),
        TableColumn(
            "reason", "string", "Why it is no event: " + " ".join(f"`{of}`: {why}" for of, why in REASONS.items())
        ),
        TableColumn("source", "string", "The file it was first seen in"),
        TableColumn("first_seen_at", "timestamp", "When a run first read it, UTC"),
        TableColumn("date", "date", "UTC date of first_seen_at"),
    ),
    partition_by=("date",),
    prune_by=("line_sha256", "reason"),
)

_COUNTS = (
    TableColumn("lines", "bigint", "Lines that were read"),
    TableColumn("inserted", "bigint", "Events that were new"),
    TableColumn("duplicate", "bigint", "Events that were there already"),
    TableColumn("rejected", "bigint", "Lines that are no event; they are in rejected_lines"),
    TableColumn("blank", "bigint", "Lines of white space"),
)

INGESTED_FILES = TableSpec(
    name="ingested_files",
    grain="one row per run and version of an object (path, size, time of change) that it is through with",
    columns=(
        TableColumn("path", "string", "URI of the object"),
        TableColumn("size_bytes", "bigint", "Its size, bytes"),
        TableColumn("modified_at", "timestamp", "When it was last changed, UTC"),
        *_COUNTS,
        TableColumn("error", "string", "Why it could not be read and was left out; null where all was well"),
        TableColumn("run_id", "string", "The run, as in runs"),
        TableColumn("ingested_at", "timestamp", "When the run was through with it, UTC"),
    ),
    partition_by=(),
    prune_by=("path", "ingested_at"),
)

RUNS = TableSpec(
    name="runs",
    grain="one row per run of `batch`, and per minute of one of `stream` that had a batch",
    columns=(
        TableColumn("run_id", "string", "Names the run"),
        TableColumn("job", "string", "Its command"),
        TableColumn("started_at", "timestamp", "UTC"),
        TableColumn("ended_at", "timestamp", "UTC"),
        TableColumn(
            "outcome",
            "string",
            "done, incomplete (a file was left out) or failed; of a stream that goes on: running, or gap (see gaps)",
        ),
        TableColumn("error", "string", "What it failed of"),
        TableColumn("files", "bigint", "Objects that it read"),
        TableColumn("quarantined", "bigint", "Objects that it left out because they cannot be read"),
        *_COUNTS,
        TableColumn(
            "unknown_fields", "array<string>", "Fields that the schema does not know; their values are rescued"
        ),
        TableColumn("events_version", "bigint", "Version of events at its end"),
        TableColumn(
            "lag_ms", "bigint", "How far behind the newest record of its stream it was at its end, ms; null for files"
        ),
        TableColumn(
            "batches",
            "array<struct<number:bigint,ended_at:timestamp,lines:bigint,bytes:bigint,lag_ms:bigint,took_ms:bigint>>",
            "The batches of a stream that the row is about",
        ),
        TableColumn(
            "gaps",
            "array<struct<shard:string,since:timestamp,until:timestamp>>",
            "Times of which the stream may have lost records before they were read; the raw events in files heal them",
        ),
        TableColumn(
            "listed",
            "struct<sources:array<string>,since:timestamp,until:timestamp,left_out:array<string>>",
            "What `batch` listed: its sources, from the first hour of folders (none: all) to the first not wanted any "
            "more (none: all), and which objects there are left out",
        ),
        TableColumn(
            "rows_touched",
            "map<string,bigint>",
            "Rows inserted or changed, by derived table; of `forget`, also deleted, and of every table",
        ),
        TableColumn("version", "string", "Version of parsely_spark"),
        TableColumn("date", "date", "UTC date of started_at"),
    ),
    partition_by=("date",),
    # A stream adds a file each minute; `status` must not open all to find a run of batch, or a gap.
    prune_by=("run_id", "started_at", "job", "outcome"),
)

FORGOTTEN = TableSpec(
    name="forgotten",
    grain="one row per visitor who was forgotten, or visitor of a site; there from the first `forget` on",
    columns=(
        TableColumn(
            "visitor_hmac",
            "string",
            "HMAC-SHA256, hex, of visitor_site_id, or of apikey, line feed and visitor_site_id; its key is the table's "
            "property parsely_spark.salt",
        ),
        TableColumn("is_of_site", "boolean", "Whether the visitor was forgotten on one site alone"),
        TableColumn("forgotten_at", "timestamp", "When, UTC"),
    ),
    partition_by=(),
    prune_by=("visitor_hmac",),
)

TABLES = {
    spec.name: spec for spec in (EVENTS, *(of_fold(fold) for fold in FOLDS), REJECTED_LINES, INGESTED_FILES, RUNS)
}
# With the one that most lakes never have, and that no run makes but `forget`: each run would look for who is in it.
ALL_TABLES = {**TABLES, FORGOTTEN.name: FORGOTTEN}


_NO_TABLE = ("PATH_NOT_FOUND", "TABLE_OR_VIEW_NOT_FOUND", "DELTA_TABLE_NOT_FOUND", "DELTA_MISSING_DELTA_TABLE")


@dataclass(frozen=True)
class Lake:
    """The folder or the catalog schema that holds the tables.

    Attributes:
        spark: the session.
        place: URI of the folder, or ``catalog.schema``.
        is_catalog: whether *place* is a catalog schema.
        takes_turns: whether its writers take turns, where it lies on S3.
    """

    spark: SparkSession
    place: str
    is_catalog: bool = False
    takes_turns: bool = True

    def name_of(self, table: str) -> str:
        """The name by which SQL and Delta find *table*."""
        if self.is_catalog:
            return f"{self.place}.{table}"
        place = self.place.rstrip("/").replace("`", "``")
        return f"delta.`{place}/{table}`"

    def lease_of(self, table: str) -> str | None:
        """URI of the object by which writers of *table* take turns; None where they do not."""
        if not self.takes_turns:
            return None
        folder = f"{self.place.rstrip('/')}/{table}"
        if self.is_catalog:
            # To make a table there is the catalog's own affair.
            if not self.spark.catalog.tableExists(self.name_of(table)):
                return None
            folder = self.detail(table).select("location").collect()[0][0]
        lake, _, name = folder.rpartition("/")
        return f"{lake}/_leases/{name}.json"

    def read(self, table: str) -> DataFrame:
        """The rows of *table* as they are now."""
        return self.spark.read.table(self.name_of(table))

    def detail(self, table: str) -> DataFrame:
        """What Delta tells of *table* as a whole: a row with its id, place, size and more."""
        return self.spark.sql(f"DESCRIBE DETAIL {self.name_of(table)}")

    def qualifier_of(self, table: str) -> str:
        """What stands before a column of *table* where it has no alias."""
        return self.name_of(table).rpartition(".")[2] if self.is_catalog else self.name_of(table).removeprefix("delta.")

    def delta(self, table: str) -> DeltaTable:
        """The handle by which Delta merges into *table*; a client of Connect has none."""
        return DeltaTable.forName(self.spark, self.name_of(table))

    def look(self) -> None:
        """Have the storage say what is wrong with the folder, if anything is, while nothing has been done yet."""
        if not self.is_catalog:
            look_at(self.spark, self.place)

    def require(self, table: str, *, as_declared: bool = True) -> None:
        """Be sure that *table* is there and, unless not *as_declared*, is one that this release can read and write.

        Raises:
            LakeError: if it is not.
        """
        if not (self.checked(table) if as_declared else self.has(table)):
            raise LakeError(
                f"{self.place}: it has no table {table}; give the folder or the catalog schema that `parsely-spark "
                "batch` has filled, without --tables if this is one that it left out."
            )

    def has(self, table: str) -> bool:
        """Whether *table* is there."""
        return self.schema_of(table) is not None

    def schema_of(self, table: str) -> T.StructType | None:
        """The columns of *table*; None where it is not there."""
        try:
            return self.read(table).schema
        except AnalysisException as error:
            if error.getCondition() not in _NO_TABLE:
                raise
            return None

    def properties_of(self, table: str) -> dict[str, str]:
        """The properties of *table*; of a name or a value that looks like a secret or a URL, Spark hides the value."""
        rows = self.spark.sql(f"SHOW TBLPROPERTIES {self.name_of(table)}").collect()
        return {row["key"]: row["value"] for row in rows}

    def partitions_of(self, table: str) -> tuple[str, ...]:
        """The names of the partition columns of *table*, as it was made."""
        return tuple(self.detail(table).select("partitionColumns").collect()[0][0])

    def checked(self, table: str, *, is_one_of_all: bool = False) -> bool:
        """Whether *table* is there, and as one that this release can read and write.

        Args:
            table: its name.
            is_one_of_all: whether all others are looked at, too. `events` is the first to say that a lake is of a newer
                format, so of another table it is asked only where its columns are not the declared ones.

        Raises:
            LakeError: if it is there and of a newer format than this release knows, or lacks a column.
        """
        schema, spec = self.schema_of(table), ALL_TABLES[table]
        if schema is None:
            return False
        if not is_one_of_all or table == EVENTS.name or {*schema.names} != {column.name for column in spec.columns}:
            check_format(self.name_of(table), self.properties_of(table))
        check_columns(self.name_of(table), spec, schema.names)
        return True

    def create_missing(self, table: str, spec: TableSpec | None = None) -> None:
        """Create *table* as declared, or as *spec*, unless it is there."""
        if self.has(table):
            return
        spec = spec or ALL_TABLES[table]
        self.spark.sql(spec.creation(self.name_of(table)))
        # To SQL a table exists as soon as the folder of its log does, and it says nothing.
        if not self.is_catalog and not self.has(table):
            self._create_by_writing(spec)

    def _create_by_writing(self, spec: TableSpec) -> None:
        """Create a table where a run has died that made its folder; Delta can then only write to it."""
        columns = [
            T.StructField(c.name, T.DataType.fromDDL(c.type), nullable=True, metadata={"comment": c.meaning})
            for c in spec.columns
        ]
        nothing = self.spark.createDataFrame([], T.StructType(columns))
        writer = nothing.write.format("delta").mode("append").options(**spec.all_properties)
        writer.partitionBy(*spec.partition_by).save(f"{self.place.rstrip('/')}/{spec.name}")
        # Of a writer's options Delta takes its own properties alone.
        properties = properties_in_words(spec.all_properties)
        self.spark.sql(f"ALTER TABLE {self.name_of(spec.name)} SET TBLPROPERTIES ({properties})")
