"""Tables and views by name in a catalog, for whoever asks in SQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark import __version__
from parsely_spark.errors import LakeError
from parsely_spark.storage_errors import storage_errors
from parsely_spark.tables.catalog import TABLES
from parsely_spark.tables.views import VIEWS
from parsely_spark.tables.views.view import Scope, check_for_spark, text

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

    from parsely_spark.progress import Progress
    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.views.view import View

_OURS = "parsely_spark.version"  # a property of each view: which release made it


def run_register(lake: Lake, schema: str, reporting: ReportingSettings, progress: Progress) -> None:
    """Make every view in *schema*, and the tables of a lake that is a folder; what was made before is replaced.

    Args:
        lake: where the tables are.
        schema: of the catalog, made where it is missing.
        reporting: what the views go by.
        progress: is told what goes on.

    Raises:
        SettingsError: if a view could not be read by what *reporting* says.
        LakeError: if the lake has not all tables, or the catalog has others, or other views, by their names.
    """
    check_for_spark(lake.spark, VIEWS.values(), reporting)
    with storage_errors(LakeError, lake.place):
        lake.look()
        for table in TABLES:
            lake.require(table)
        if not lake.is_catalog:
            with progress.step("tables") as step:
                lake.spark.sql(f"create schema if not exists {schema}")
                for table in TABLES:
                    _register_table(lake, schema, table)
                step.note(f"{len(TABLES)} in {schema}")
        with progress.step("views") as step:
            for view in VIEWS.values():
                _check_ours(lake.spark, f"{schema}.{view.name}")
            for view in VIEWS.values():
                lake.spark.sql(_statement(view, schema, reporting))
            step.note(f"{len(VIEWS)} in {schema}")


def _register_table(lake: Lake, schema: str, table: str) -> None:
    place = f"{lake.place.rstrip('/')}/{table}"
    spark = lake.spark
    spark.sql(f"create table if not exists {schema}.{table} using delta location {text(place)}")
    there, here = (
        spark.sql(f"describe detail {name}").select("id").collect()[0][0]
        for name in (f"{schema}.{table}", lake.name_of(table))
    )
    if there != here:
        raise LakeError(f"{schema}.{table} is another table than {place}; drop it, or give a schema of its own.")


def _check_ours(spark: SparkSession, name: str) -> None:
    if spark.catalog.tableExists(name) and _OURS not in {
        row["key"] for row in spark.sql(f"show tblproperties {name}").collect()
    }:
        raise LakeError(f"{name} is there already and is none of ours; rename it, or give a schema of its own.")


def _statement(view: View, schema: str, reporting: ReportingSettings) -> str:
    query = view.sql(Scope(table=lambda name: f"{schema}.{name}", reporting=reporting))
    meanings = [f"`{column.name}` comment {text(column.meaning)}" for column in view.columns]
    meanings += [f"`{key}` comment 'Of extra_data'" for key, _ in view.more_columns(reporting)]
    return (
        f"create or replace view {schema}.{view.name} ({', '.join(meanings)}) "
        f"comment {text(f'Grain: {view.grain}.')} tblproperties ('{_OURS}' = '{__version__}') as {query}"
    )
