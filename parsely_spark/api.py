"""Tables and views as DataFrames, for notebooks and other people's jobs."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

from parsely_spark.config import did_you_mean
from parsely_spark.errors import LakeError, SettingsError
from parsely_spark.reporting import ReportingSettings
from parsely_spark.settings import LakeSettings

if TYPE_CHECKING:
    from collections.abc import Iterable

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
        from parsely_spark.storage_errors import storage_errors

        _check_known("table", name, self.tables)
        with storage_errors(LakeError, self.lake.place):
            self.lake.require(name)
            rows = self.lake.read(name)
        state = [column for column in rows.columns if column.startswith("_") and column != "_rescued"]
        return rows if with_state else rows.drop(*state)

    def view(
        self,
        name: str,
        *,
        as_of: date | str | None = None,
        since: date | str | None = None,
        until: date | str | None = None,
    ) -> DataFrame:
        """The rows of a view, computed when they are asked for.

        Args:
            name: one of `views`.
            as_of: the last local date that counts, for ``visitors``; that of the last session by default.
            since: the first local date that counts, for the views that are about a period.
            until: the first local date that does not count any more, likewise. Each is a date, or YYYY-MM-DD.

        Raises:
            SettingsError: if there is no view of that name, or it cannot be asked that way.
            LakeError: if the lake has not the tables that the view asks.
        """
        from parsely_spark.storage_errors import storage_errors
        from parsely_spark.tables.views import VIEWS, ask, scope_of

        _check_known("view", name, self.views)
        given = {"as_of": as_of, "since": since, "until": until}
        asked = {word: _day(word, day) for word, day in given.items()}
        for word, day in asked.items():
            if day is not None and word not in VIEWS[name].takes:
                ways = ", ".join(VIEWS[name].takes) or "nothing"
                raise SettingsError(f"{word}={day}: the view {name} cannot be asked with it; it takes {ways}.")
        if asked["since"] and asked["until"] and asked["since"] >= asked["until"]:
            raise SettingsError(f"since={since} is not before until={until}; no date lies between them.")

        with storage_errors(LakeError, self.lake.place):
            return ask(self.lake, name, scope_of(self.lake, self.reporting, **asked))


def open_lake(
    lake: str | os.PathLike[str] | None = None,
    *,
    catalog: str | None = None,
    spark: SparkSession | None = None,
    **reporting: Any,
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
    where = LakeSettings(lake=None if lake is None else os.path.expanduser(os.fspath(lake)), catalog=catalog)

    from parsely_spark.session import get_session
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.tables.views import VIEWS
    from parsely_spark.tables.views.view import check_for_spark

    session = spark or get_session("parsely-spark", where)
    check_for_spark(session, VIEWS.values(), settings)
    return OpenLake(Lake(session, where.place, is_catalog=catalog is not None), settings)


def _day(word: str, given: date | str | None) -> date | None:
    try:
        day = date.fromisoformat(given) if isinstance(given, str) else given
        if day is not None and type(day) is not date:  # an instant is a date, too, to isinstance
            raise ValueError
    except ValueError:
        raise SettingsError(f"{word}={given!r} is no date; give a datetime.date or a text YYYY-MM-DD.") from None
    return day


def _check_known(what: str, name: str, known: Iterable[str]) -> None:
    if name not in known:
        raise SettingsError(f"{name!r} is no {what}{did_you_mean(name, list(known))}; there are {', '.join(known)}.")
