"""The view ``campaigns``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.tables.folds.parts import CAMPAIGN
from parsely_spark.tables.spec import TableColumn
from parsely_spark.tables.views.view import View

if TYPE_CHECKING:
    from parsely_spark.tables.views.view import Scope


def _sql(scope: Scope) -> str:
    names = ", ".join(CAMPAIGN)
    return f"""
        select
            apikey,
            {names},
            count(*) as sessions,
            count(distinct visitor_site_id) as visitors,
            count_if(is_bounce) as bounces,
            sum(pageviews) as pageviews,
            sum(engaged_s) as engaged_s,
            sum(videostarts) as videostarts,
            sum(watched_s) as watched_s,
            sum(conversions) as conversions,
            min(started_at) as first_seen_at,
            max(started_at) as last_seen_at
        from {scope.table("sessions")}
        where not is_bot and coalesce({names}) is not null and {scope.is_in_period("started_at")}
        group by apikey, {names}"""


CAMPAIGNS = View(
    name="campaigns",
    grain="one row per site and campaign, that is the five utm_ parameters by which sessions began; bots are left out",
    takes=("since", "until"),
    sql=_sql,
    columns=(
        TableColumn("apikey", "string", "Parse.ly's id of the site"),
        *(TableColumn(name, "string", f"{name} of the sessions") for name in CAMPAIGN),
        TableColumn("sessions", "bigint", "Sessions"),
        TableColumn("visitors", "bigint", "Distinct visitors of a site"),
        TableColumn("bounces", "bigint", "Sessions of one pageview and nothing else"),
        TableColumn("pageviews", "bigint", "Pageview events of the sessions"),
        TableColumn("engaged_s", "bigint", "Seconds of engagement with pages"),
        TableColumn("videostarts", "bigint", "Videos started"),
        TableColumn("watched_s", "bigint", "Seconds of video watched"),
        TableColumn("conversions", "bigint", "Conversion events of the sessions"),
        TableColumn("first_seen_at", "timestamp", "Start of the first session, UTC"),
        TableColumn("last_seen_at", "timestamp", "Start of the last session, UTC"),
    ),
)
