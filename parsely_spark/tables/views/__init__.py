"""The declarations of the views: queries over the tables, with the reporting time zone."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.tables.views.attribution import CONVERSION_ATTRIBUTION
from parsely_spark.tables.views.calendar import CALENDAR
from parsely_spark.tables.views.campaigns import CAMPAIGNS
from parsely_spark.tables.views.content import AUTHORS, FIRST_72_HOURS, SECTIONS, TAGS
from parsely_spark.tables.views.custom_events import CUSTOM_EVENTS
from parsely_spark.tables.views.view import Scope
from parsely_spark.tables.views.visitors import VISITORS

if TYPE_CHECKING:
    from datetime import date

    from pyspark.sql import DataFrame

    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.catalog import Lake

VIEWS = {
    view.name: view
    for view in (
        VISITORS,
        CAMPAIGNS,
        AUTHORS,
        SECTIONS,
        TAGS,
        FIRST_72_HOURS,
        CUSTOM_EVENTS,
        CONVERSION_ATTRIBUTION,
        CALENDAR,
    )
}


def scope_of(
    lake: Lake,
    reporting: ReportingSettings,
    *,
    as_of: date | None = None,
    since: date | None = None,
    until: date | None = None,
) -> Scope:
    """What is asked of *lake*: its tables have to be there; the dates are those of `Scope`."""

    def required(table: str) -> str:
        lake.require(table)
        return lake.name_of(table)

    return Scope(table=required, reporting=reporting, as_of=as_of, since=since, until=until)


def ask(lake: Lake, name: str, scope: Scope) -> DataFrame:
    """The rows of the view *name*; it is not looked whether it can be asked with the dates of *scope*.

    Raises:
        LakeError: if *scope* misses a table that the view asks.
    """
    return lake.spark.sql(VIEWS[name].sql(scope))
