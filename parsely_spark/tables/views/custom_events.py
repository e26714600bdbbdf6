"""The view ``custom_events``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.columns import STANDARD_ACTIONS
from parsely_spark.errors import SettingsError
from parsely_spark.tables.spec import TableColumn
from parsely_spark.tables.views.view import View

if TYPE_CHECKING:
    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.views.view import Scope


def _extra_columns(reporting: ReportingSettings) -> tuple[tuple[str, str], ...]:
    own = {column.name for column in _COLUMNS}
    for key, type_ in reporting.extra_data_columns:
        if key.lower() in own:  # in SQL, Action and action are one name
            raise SettingsError(
                f"extra_data='{key}:{type_}': custom_events has a column {key.lower()} already; ask for another key."
            )
    return reporting.extra_data_columns


def _typed(text: str, type_: str) -> str:
    """SQL of the value that *text* writes; null where it writes none of that type."""
    if type_ == "timestamp":  # a text without a zone is UTC, whatever the session's
        has_zone = f"{text} rlike '(Z|[+-][0-9]{{2}}:?[0-9]{{2}})$'"
        in_utc = [f"try_cast(concat({text}, '{rest}') as timestamp)" for rest in ("Z", "T00:00:00Z")]
        return f"if({has_zone}, try_cast({text} as timestamp), coalesce({', '.join(in_utc)}))"
    if type_ == "bigint":  # as 3.0 and 1e3 are whole numbers, too
        number = f"try_cast({text} as double)"
        return f"coalesce(try_cast({text} as bigint), if({number} % 1 = 0, try_cast({number} as bigint), null))"
    return f"try_cast({text} as {type_})"


def _sql(scope: Scope) -> str:
    standard = ", ".join(f"'{action}'" for action in STANDARD_ACTIONS)
    values = {
        key: _typed(f"get_json_object(extra_data, '$[\\'{key}\\']')", type_)
        for key, type_ in _extra_columns(scope.reporting)
    }
    keys = "".join(f", {value} as `{key}`" for key, value in values.items())
    return f"""
        select
            apikey,
            event_id,
            event_at,
            {scope.local_date("event_at")} as local_date,
            action,
            nullif(visitor_site_id, '') as visitor_site_id,
            session_key,
            nullif(url_clean, '') as url_clean,
            coalesce(nullif(metadata_canonical_url, ''), nullif(url_clean, '')) as post_id,
            nullif(metadata_section, '') as section,
            extra_data,
            is_bot{keys}
        from {scope.table("events")}
        where action not in ({standard}) and {scope.is_in_period("event_at", "date")}"""


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
