"""The view ``calendar``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.tables.spec import TableColumn
from parsely_spark.tables.views.view import View

if TYPE_CHECKING:
    from parsely_spark.tables.views.view import Scope


def _sql(scope: Scope) -> str:
    first = scope.local_date("timestamp_millis((unix_date(min(date)) * 86400000L))")
    last = scope.local_date("timestamp_millis((unix_date(max(date)) * 86400000L + 86399999L))")
    starts_at, ends_at = scope.midnight("date"), scope.midnight("date_add(date, 1)")
    return f"""
        with days as (
            select explode(sequence({first}, {last})) as date from {scope.table("events")}
        )
        select
            date,
            {starts_at} as starts_at,
            {ends_at} as ends_at,
            cast((unix_millis({ends_at}) - unix_millis({starts_at})) / 3600000 as double) as hours,
            year(date) as year,
            quarter(date) as quarter,
            month(date) as month,
            day(date) as day,
            extract(yearofweek from date) as iso_year,
            weekofyear(date) as iso_week,
            weekday(date) + 1 as iso_weekday,
            date_format(date, 'EEEE') as weekday_name,
            weekday(date) >= 5 as is_weekend
        from days"""


CALENDAR = View(
    name="calendar",
    grain="one row per local date of the events; join by starts_at <= event_at < ends_at",
    sql=_sql,
    columns=(
        TableColumn("date", "date", "Date in the reporting time zone"),
        TableColumn("starts_at", "timestamp", "When it begins, UTC"),
        TableColumn("ends_at", "timestamp", "When the next begins, UTC"),
        TableColumn("hours", "double", "Its length, h: 23 or 25 where clocks are changed"),
        TableColumn("year", "int", "Year"),
        TableColumn("quarter", "int", "Quarter, 1-4"),
        TableColumn("month", "int", "Month, 1-12"),
        TableColumn("day", "int", "Day of the month"),
        TableColumn("iso_year", "int", "Year of the ISO week"),
        TableColumn("iso_week", "int", "ISO week, 1-53"),
        TableColumn("iso_weekday", "int", "Monday is 1, Sunday 7"),
        TableColumn("weekday_name", "string", "Monday to Sunday"),
        TableColumn("is_weekend", "boolean", "Whether it is a Saturday or a Sunday"),
    ),
)
