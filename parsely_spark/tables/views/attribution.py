"""The view ``conversion_attribution``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.columns import NOBODY_IDS
from parsely_spark.tables.spec import TableColumn
from parsely_spark.tables.views.view import View

if TYPE_CHECKING:
    from parsely_spark.tables.views.view import Scope

# What a page tells of a touch.
_OF_PAGE = (
    "post_id",
    "url_clean",
    "title",
    "section",
    "page_type",
    "channel",
    "referrer_category",
    "referrer_domain",
    "utm_source",
    "utm_medium",
    "utm_campaign",
)
_OF_CONVERSION = (
    "apikey",
    "event_id",
    "converted_at",
    "conversion_type",
    "conversion_label",
    "visitor_site_id",
    "is_bot",
)

_DAY_MS = 86_400_000  # whatever the clocks of the session's time zone do in between


def _sql(scope: Scope) -> str:
    nobody = ", ".join(f"'{name}'" for name in NOBODY_IDS)
    conversion = ", ".join(f"c.{name}" for name in _OF_CONVERSION)
    by_itself = {"title": "p.title", "section": "p.section", "page_type": "p.page_type"}
    of_itself = ", ".join(f"{by_itself.get(name, f'c.{name}')} as {name}" for name in _OF_PAGE)
    # Without an id on either side: at the same URL, or at another of the same post.
    is_its_page = "coalesce(v.pageview_id = c.pageview_id, v.url_clean = c.url_clean or v.post_id = c.post_id)"
    # An event that came with times on both sides of an hour is there twice, and each is a conversion to events.
    whole = "partition by apikey, event_id, converted_at"
    look_back = scope.reporting.look_back_days
    # Few have converted. Spark looks for the others' posts, too, unless it is told before.
    has_converted = f"""(t.apikey, t.visitor_site_id) in (
        select apikey, visitor_site_id from {scope.table("conversions")}
        where {scope.is_near_period("converted_at", "date")})"""
    is_near = scope.is_near_period("viewed_at", days_before=look_back)
    may_be_touch = f"pageviews > 0 and {is_near} and {has_converted}"
    url_days = scope.days_of_conversions
    return f"""
        with converted as (
            {scope.of_posts("conversions", scope.is_in_period("converted_at", "date"), days_before=url_days)}
        ),
        pages as (
            select
                {conversion},
                v.pageview_key,
                v.viewed_at as touched_at,
                if(v.last_viewed_at <= c.converted_at, v.last_viewed_at, v.viewed_at) as last_touched_at,
                coalesce({is_its_page}, false) as is_converting_page,
                {", ".join(f"v.{name}" for name in _OF_PAGE)}
            from converted c
            join ({scope.of_posts("pageviews", may_be_touch, days_before=url_days)}) v
                on v.apikey = c.apikey
                and v.visitor_site_id = c.visitor_site_id
                and unix_millis(c.converted_at) - unix_millis(v.viewed_at)
                    between 0 and {look_back * _DAY_MS}
            where c.visitor_site_id not in ({nobody})
        ),
        possible as (
            select *, is_converting_page as is_known from pages
            union all
            select {conversion}, null, c.converted_at, c.converted_at, true, {of_itself}, false
            from converted c
            left join {scope.table("posts")} p on p.apikey = c.apikey and p.post_id = c.post_id
        ),
        touches as (
            select * from (select *, max(is_known) over ({whole}) as has_known from possible)
            where pageview_key is not null or not has_known
        ),
        ranked as (
            select
                *,
                count(*) over ({whole}) as touches,
                row_number() over ({whole} order by touched_at, pageview_key nulls last) as nth,
                row_number() over (
                    {whole} order by is_converting_page desc, last_touched_at desc, pageview_key
                ) as nth_last,
                row_number() over (
                    {whole}, coalesce(page_type = 'post', false) order by last_touched_at desc, pageview_key
                ) as nth_last_of_type
            from touches
        )
        select
            {", ".join(_OF_CONVERSION)},
            {scope.local_date("converted_at")} as local_date,
            model,
            credit,
            touches,
            pageview_key,
            touched_at,
            {", ".join(_OF_PAGE)}
        from ranked lateral view inline(array_compact(array(
            if(nth = 1, struct('first_touch' as model, 1D as credit), null),
            if(nth_last = 1, struct('last_touch' as model, 1D as credit), null),
            if(page_type = 'post' and nth_last_of_type = 1, struct('last_post' as model, 1D as credit), null),
            struct('linear' as model, 1D / touches as credit)
        ))) as model, credit"""


CONVERSION_ATTRIBUTION = View(
    name="conversion_attribution",
    grain="one row per conversion, model and page to which the model gives credit",
    takes=("since", "until"),
    sql=_sql,
    columns=(
        TableColumn("apikey", "string", "Parse.ly's id of the site"),
        TableColumn("event_id", "string", "The conversion, as in conversions"),
        TableColumn("converted_at", "timestamp", "Its time, UTC"),
        TableColumn("conversion_type", "string", "As in conversions"),
        TableColumn("conversion_label", "string", "As in conversions"),
        TableColumn("visitor_site_id", "string", "Visitor of the site"),
        TableColumn("is_bot", "boolean", "Whether the user agent is a bot's"),
        TableColumn("local_date", "date", "Date of the conversion in the reporting time zone"),
        TableColumn(
            "model",
            "string",
            "first_touch: the first page that the visitor saw in the days before, as many as look_back_days says. "
            "last_touch: the page of the conversion. last_post: the last page of type post; without one, no row. "
            "linear: all those pages, to equal parts",
        ),
        TableColumn("credit", "double", "Share of the conversion; those of a conversion and model add up to 1"),
        TableColumn("touches", "bigint", "Pages that the visitor saw in those days, that of the conversion among them"),
        TableColumn(
            "pageview_key",
            "string",
            "The page, as in pageviews; null where no pageview of the conversion's page is known",
        ),
        TableColumn("touched_at", "timestamp", "Time of the view, UTC"),
        *(TableColumn(name, "string", "As in pageviews") for name in _OF_PAGE),
    ),
)
