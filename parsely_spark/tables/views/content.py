"""Views of what was read: ``authors``, ``sections``, ``tags`` and ``first_72_hours``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from parsely_spark.tables.spec import TableColumn
from parsely_spark.tables.views.view import View, distinct_in

if TYPE_CHECKING:
    from parsely_spark.tables.views.view import Scope

FIRST_HOURS = 72


def _by(name: str, names_of_post: str, scope: Scope) -> str:
    return f"""
        with viewed as (
            select apikey, post_id, pageviews, engaged_s, if(session_key is null, null, visitor_site_id) as visitor
            from ({scope.of_posts("pageviews", f"not is_bot and {scope.is_in_period('viewed_at')}")})
        ),
        named as (
            select
                apikey,
                post_id,
                {name},
                {scope.is_in_period("published_at")} and published_at is not null as is_published
            from {scope.table("posts")} lateral view explode({names_of_post}) as {name}
            where {name} <> ''
        ),
        read as (
            select
                n.apikey,
                {name},
                count(distinct v.post_id) as posts_viewed,
                sum(pageviews) as pageviews,
                sum(engaged_s) as engaged_s,
                count(distinct visitor) as visitors
            from viewed v join named n on n.apikey = v.apikey and n.post_id = v.post_id
            group by n.apikey, {name}
        ),
        published as (
            select apikey, {name}, count_if(is_published) as posts_published from named group by apikey, {name}
        )
        select
            p.apikey,
            p.{name},
            coalesce(posts_viewed, 0) as posts_viewed,
            posts_published,
            coalesce(pageviews, 0) as pageviews,
            coalesce(engaged_s, 0) as engaged_s,
            coalesce(visitors, 0) as visitors,
            pageviews / posts_viewed as pageviews_per_post
        from published p left join read r on r.apikey = p.apikey and r.{name} = p.{name}
        where pageviews > 0 or engaged_s > 0 or posts_published > 0"""


def _content_view(name: str, one: str, names_of_post: str, meaning: str) -> View:
    return View(
        name=name,
        grain=f"one row per site and {one}; a post counts with each that it has, by its newest metadata; a view "
        "counts, with all engagement, on the day it began; bots are left out",
        takes=("since", "until"),
        sql=partial(_by, one, names_of_post),
        columns=(
            TableColumn("apikey", "string", "Parse.ly's id of the site"),
            TableColumn(one, "string", meaning),
            TableColumn("posts_viewed", "bigint", "Distinct posts that somebody looked at"),
            TableColumn("posts_published", "bigint", "Posts whose publication lies in the period"),
            TableColumn("pageviews", "bigint", "Pageview events"),
            TableColumn("engaged_s", "bigint", "Seconds of engagement with pages"),
            TableColumn("visitors", "bigint", "Distinct visitors"),
            TableColumn("pageviews_per_post", "double", "pageviews divided by posts_viewed"),
        ),
    )


AUTHORS = _content_view("authors", "author", "array_distinct(authors)", "Name of the author")
TAGS = _content_view("tags", "tag", "array_distinct(tags)", "The tag")
SECTIONS = _content_view("sections", "section_name", "array(section)", "Name of the section")


def _first_hours(scope: Scope) -> str:
    return f"""
        with hours as (
            select *, unix_date(date) * 24L + hour as utc_hour from ({scope.of_posts("post_hours")})
        ),
        published as (
            select *, cast(floor(unix_millis(published_at) / 3600000) as bigint) as published_hour
            from {scope.table("posts")} where published_at is not null
        )
        select
            p.apikey,
            p.post_id,
            title,
            section,
            published_at,
            cast(utc_hour - published_hour as int) as hours_since_publish,
            sum(pageviews) as pageviews,
            sum(engaged_s) as engaged_s,
            sum(videostarts) as videostarts,
            sum(watched_s) as watched_s,
            sum(conversions) as conversions,
            {distinct_in("visitors_sketch")} as visitors
        from published p join hours h on h.apikey = p.apikey and h.post_id = p.post_id
        where utc_hour - published_hour between 0 and {FIRST_HOURS - 1}
        group by all"""


FIRST_72_HOURS = View(
    name="first_72_hours",
    grain="one row per post and clock hour since its publication in which anything happened, 0 to 71; bots "
    "are part of it, which post_hours does not tell apart",
    sql=_first_hours,
    columns=(
        TableColumn("apikey", "string", "Parse.ly's id of the site"),
        TableColumn("post_id", "string", "The content"),
        TableColumn("title", "string", "Title"),
        TableColumn("section", "string", "Section"),
        TableColumn("published_at", "timestamp", "When it was published, UTC"),
        TableColumn("hours_since_publish", "int", "Clock hours since the one of the publication, which is 0"),
        TableColumn("pageviews", "bigint", "Pageview events"),
        TableColumn("engaged_s", "bigint", "Seconds of engagement with pages"),
        TableColumn("videostarts", "bigint", "Videos started on it"),
        TableColumn("watched_s", "bigint", "Seconds of video watched on it"),
        TableColumn("conversions", "bigint", "Conversion events on it"),
        TableColumn("visitors", "bigint", "Distinct visitors, estimated"),
    ),
)
