"""Tables and views as DataFrames, for notebooks and other people's jobs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from parsely_spark.config import did_you_mean
from parsely_spark.errors import SettingsError
from parsely_spark.reporting import ReportingSettings
from parsely_spark.settings import LakeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import date

    from pyspark.sql import DataFrame, SparkSession

    from parsely_spark.tables.catalog import Lake


@dataclass(frozen=True)
class OpenLake:
    """A lake to ask; `open_lake` opens one.

    Attributes:
        lake: where the tables are.
        reporting: what the views go by.
    """

    lake: Lake
    reporting: ReportingSettings

    @property
    def tables(self) -> tuple[str, ...]:
        """The names of the tables."""
        from parsely_spark.tables.catalog import TABLES

        return tuple(TABLES)

    @property
    def views(self) -> tuple[str, ...]:
        """The names of the views."""
        from parsely_spark.tables.views import VIEWS

        return tuple(VIEWS)

    def table(self, name: str, *, with_state: bool = False) -> DataFrame:
        """The rows of a table as they are now.

        Args:
            name: one of `tables`.
            with_state: also the columns, named with an underscore, that only merges need.

        Raises:
            SettingsError: if there is no table of that name.
            LakeError: if the lake has not been filled.
        """
        _check_known("table", name, self.tables)
        self.lake.require(name)
        rows = self.lake.read(name)
        state = [column for column in rows.columns if column.startswith("_") and column != "_rescued"]
        return rows if with_state else rows.drop(*state)

    def view(
        self, name: str, *, as_of: date | None = None, since: date | None = None, until: date | None = None
    ) -> DataFrame:
        """The rows of a view, computed when they are asked for.

        Args:
            name: one of `views`.
            as_of: the last local date that counts, for ``visitors``; that of the last session by default.
            since: the first local date that counts, for the views that are about a period.
            until: the first local date that does not count any more, likewise.

        Raises:
            SettingsError: if there is no view of that name, or it cannot be asked that way.
            LakeError: if the lake has not been filled.
        """
        from parsely_spark.tables.views import VIEWS
        from parsely_spark.tables.views.view import Scope

        _check_known("view", name, self.views)
        asked: dict[str, Any] = {"as_of": as_of, "since": since, "until": until}
        for word, day in asked.items():
            if day is not None and word not in VIEWS[name].takes:
                ways = ", ".join(VIEWS[name].takes) or "nothing"
                raise SettingsError(f"{word}={day}: the view {name} cannot be asked with it; it takes {ways}.")
        self.lake.require("events")
        scope = Scope(table=self.lake.name_of, reporting=self.reporting, **asked)
        return self.lake.spark.sql(VIEWS[name].sql(scope))


def open_lake(
    lake: str | None = None, *, catalog: str | None = None, spark: SparkSession | None = None, **reporting: Any
) -> OpenLake:
    """Open the tables of a folder or of a catalog schema.

    Args:
        lake: folder of the tables: a local path, s3a:// or s3://.
        catalog: catalog schema of the tables, instead of a folder.
        spark: the session; by default the running one, else one is made.
        reporting: settings of `ReportingSettings`, ``timezone`` for one.

    Raises:
        SettingsError: if a setting is wrong.
    """
    known = ReportingSettings.__dataclass_fields__
    for name in reporting:
        _check_known("setting", name, known)
    settings = ReportingSettings(**reporting)
    where = LakeSettings(lake=lake, catalog=catalog)

    from parsely_spark.session import get_session
    from parsely_spark.tables.catalog import Lake

    session = spark or get_session("parsely-spark", where)
    return OpenLake(Lake(session, where.place, is_catalog=catalog is not None), settings)


def _check_known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise SettingsError(f"{name!r} is no {what}{did_you_mean(name, list(known))}; there are {', '.join(known)}.")
