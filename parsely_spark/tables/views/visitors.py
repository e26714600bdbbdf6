"""The view ``visitors``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.tables.spec import TableColumn
from parsely_spark.tables.views.view import View, literal

if TYPE_CHECKING:
    from parsely_spark.tables.views.view import Scope

WINDOW_DAYS = 30  # of Parse.ly's dashboard: who comes again within them has returned


def _sql(scope: Scope) -> str:
    reporting, as_of = scope.reporting, scope.as_of
    last_day = "max(local_date)" if as_of is None else f"coalesce({literal(as_of)}, max(local_date))"
    return f"""
        with all_sessions as (
            select *, {scope.local_date("started_at")} as local_date from {scope.table("sessions")}
        ),
        last_day as (
            select {last_day} as as_of from all_sessions
        ),
        counted as (
            select
                *,
                date_diff(as_of, local_date) < {WINDOW_DAYS} as is_recent,
                row_number() over (partition by apikey, visitor_site_id order by started_at, session_key) as nth
            from all_sessions cross join last_day
            where local_date <= as_of
        ),
        by_visitor as (
            select
                apikey,
                visitor_site_id,
                as_of,
                min(started_at) as first_seen_at,
                max(ended_at) as last_seen_at,
                count(*) as sessions,
                sum(pageviews) as pageviews,
                sum(engaged_s) as engaged_s,
                sum(videostarts) as videostarts,
                sum(watched_s) as watched_s,
                sum(conversions) as conversions,
                count_if(is_recent) as sessions_30d,
                sum(if(is_recent, pageviews, 0)) as pageviews_30d,
                max(if(nth = 1, local_date, null)) as first_date,
                max(if(nth = 2, local_date, null)) as second_date,
                max(local_date) as last_date,
                max(if(nth = 1, entry_url, null)) as first_url,
                max(if(nth = 1, entry_post_id, null)) as first_post_id,
                max(if(nth = 2, entry_post_id, null)) as second_post_id,
                max(if(nth = 1, channel, null)) as first_channel,
                max(if(nth = 1, referrer_category, null)) as first_referrer_category,
                max(if(nth = 1, referrer_domain, null)) as first_referrer_domain,
                max(if(nth = 1, utm_source, null)) as first_utm_source,
                max(if(nth = 1, utm_medium, null)) as first_utm_medium,
                max(if(nth = 1, utm_campaign, null)) as first_utm_campaign,
                max(is_bot) as is_bot
            from counted
            group by apikey, visitor_site_id, as_of
        )
        select
            v.apikey,
            visitor_site_id,
            as_of,
            v.first_seen_at,
            v.last_seen_at,
            first_date,
            last_date,
            date_diff(as_of, last_date) as days_silent,
            sessions,
            pageviews,
            engaged_s,
            videostarts,
            watched_s,
            conversions,
            sessions_30d,
            pageviews_30d,
            case sessions_30d when 0 then 'gone' when 1 then 'new' else 'returning' end as visitor_type,
            case
                when sessions_30d = 0 then null
                when sessions_30d = 1 then '1'
                when sessions_30d < 5 then '2-4'
                else '5+'
            end as tier,
            pageviews >= {reporting.loyal_pageviews} or pageviews_30d >= {reporting.loyal_pageviews_30d} as is_loyal,
            date_diff(second_date, first_date) as days_to_second_session,
            second_post_id,
            first_url,
            first_post_id,
            p.section as first_section,
            first_channel,
            first_referrer_category,
            first_referrer_domain,
            first_utm_source,
            first_utm_medium,
            first_utm_campaign,
            is_bot
        from by_visitor v
        left join {scope.table("posts")} p on p.apikey = v.apikey and p.post_id = v.first_post_id"""


VISITORS = View(
    name="visitors",
    grain="one row per visitor of a site who was there by the date as_of; a session counts where it starts",
    takes=("as_of",),
    sql=_sql,
    columns=(
        TableColumn("apikey", "string", "Parse.ly's id of the site"),
        TableColumn("visitor_site_id", "string", "Visitor of the site"),
        TableColumn(
            "as_of", "date", "The last local date that counts: the one asked for, else that of the last session"
        ),
        TableColumn("first_seen_at", "timestamp", "Start of the first session, UTC"),
        TableColumn("last_seen_at", "timestamp", "End of the last session, UTC"),
        TableColumn("first_date", "date", "Local date of the first session"),
        TableColumn("last_date", "date", "Local date of the last session"),
        TableColumn("days_silent", "int", "Days from the last session to as_of"),
        TableColumn("sessions", "bigint", "Sessions"),
        TableColumn("pageviews", "bigint", "Pageview events"),
        TableColumn("engaged_s", "bigint", "Seconds of engagement with pages"),
        TableColumn("videostarts", "bigint", "Videos started"),
        TableColumn("watched_s", "bigint", "Seconds of video watched"),
        TableColumn("conversions", "bigint", "Conversion events"),
        TableColumn("sessions_30d", "bigint", f"Sessions in the {WINDOW_DAYS} days that end with as_of"),
        TableColumn("pageviews_30d", "bigint", f"Pageview events in the {WINDOW_DAYS} days that end with as_of"),
        TableColumn(
            "visitor_type",
            "string",
            f"By the {WINDOW_DAYS} days that end with as_of, as in Parse.ly's dashboard: new came once, returning came "
            "again, gone did not come",
        ),
        TableColumn("tier", "string", f"1, 2-4 or 5+ sessions in those {WINDOW_DAYS} days; null for who is gone"),
        TableColumn(
            "is_loyal",
            "boolean",
            f"Whether pageviews reach loyal_pageviews, or those of the {WINDOW_DAYS} days loyal_pageviews_30d",
        ),
        TableColumn("days_to_second_session", "int", "Days from the first to the second session; null without one"),
        TableColumn("second_post_id", "string", "Entry post of the second session"),
        TableColumn("first_url", "string", "Entry page of the first session"),
        TableColumn("first_post_id", "string", "Entry post of the first session"),
        TableColumn("first_section", "string", "Section of that post"),
        TableColumn("first_channel", "string", "Delivery channel of the first session"),
        TableColumn("first_referrer_category", "string", "Class of the referrer of the first session"),
        TableColumn("first_referrer_domain", "string", "Domain of the referrer of the first session"),
        TableColumn("first_utm_source", "string", "utm_source of the first session"),
        TableColumn("first_utm_medium", "string", "utm_medium of the first session"),
        TableColumn("first_utm_campaign", "string", "utm_campaign of the first session"),
        TableColumn("is_bot", "boolean", "Whether the user agent of any event is a bot's"),
    ),
)
