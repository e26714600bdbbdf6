"""The view ``custom_events``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.columns import STANDARD_ACTIONS
from parsely_spark.errors import SettingsError
from parsely_spark.tables.catalog import TableColumn
from parsely_spark.tables.views.view import View

if TYPE_CHECKING:
    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.views.view import Scope


def _extra_columns(reporting: ReportingSettings) -> tuple[tuple[str, str], ...]:
    own = {column.name for column in _COLUMNS}
    for key, type_ in reporting.extra_data_columns:
        if key in own:
            raise SettingsError(
                f"extra_data='{key}:{type_}': custom_events has a column {key} already; ask for another key."
            )
    return reporting.extra_data_columns


def _sql(scope: Scope) -> str:
    standard = ", ".join(f"'{action}'" for action in STANDARD_ACTIONS)
    keys = "".join(
        f", try_cast(get_json_object(extra_data, '$[\\'{key}\\']') as {type_}) as `{key}`"
        for key, type_ in _extra_columns(scope.reporting)
    )
    return f"""
        select
            apikey,
            event_id,
            event_at,
            {scope.local_date("event_at")} as local_date,
            action,
            visitor_site_id,
            session_key,
            url_clean,
            if(metadata_canonical_url <> '', metadata_canonical_url, url_clean) as post_id,
            metadata_section as section,
            extra_data,
            is_bot{keys}
        from {scope.table("events")}
        where action not in ({standard}) and {scope.is_in_period("event_at")}"""


_COLUMNS = (
    TableColumn("apikey", "string", "Parse.ly's id of the site"),
    TableColumn("event_id", "string", "The event, as in events"),
    TableColumn("event_at", "timestamp", "Its time, UTC"),
    TableColumn("local_date", "date", "Its date in the reporting time zone"),
    TableColumn("action", "string", "Its name"),
    TableColumn("visitor_site_id", "string", "Visitor of the site"),
    TableColumn("session_key", "string", "The tracker session, as in sessions; null without one"),
    TableColumn("url_clean", "string", "URL of the page without query and fragment"),
    TableColumn("post_id", "string", "The content: metadata_canonical_url, else url_clean"),
    TableColumn("section", "string", "Section, where the event says it"),
    TableColumn("extra_data", "string", "The site's own keys and values, JSON"),
    TableColumn("is_bot", "boolean", "Whether the user agent is a bot's"),
)

CUSTOM_EVENTS = View(
    name="custom_events",
    grain="one row per event of the publisher's own naming; the keys of extra_data that the settings name follow as "
    "columns",
    takes=("since", "until"),
    sql=_sql,
    columns=_COLUMNS,
    more_columns=_extra_columns,
)
