"""What is asked about the audience, of the tables and views that users ask; bots are left out, as in the views."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from functools import reduce
from typing import TYPE_CHECKING

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from parsely_spark.report.classes import DEPTHS, LENGTHS, MODELS
from parsely_spark.tables.views import ask
from parsely_spark.tables.views.view import text

if TYPE_CHECKING:
    from collections.abc import Collection

    from pyspark.sql import Row

    from parsely_spark.report.near import Audience

TOP = 10
CONTENT = {"authors": "author", "sections": "section_name", "tags": "tag"}  # views, and their columns of names
NEW_POSTS = 6  # of a site, whose first hours are shown
MOST_VALUES = 300  # of a dimension that is summed up over sites; there are 249 countries

# Dimensions of sessions, which are columns. Those of the first kind have few values and are all kept.
FEW_VALUES = ("referrer_category", "device_type", "country", "channel", "os")
MANY_VALUES = ("referrer_domain", "entry_url", "exit_url")


def pageviews(asked: Audience) -> list[Row]:
    """By site and hour, by site and day, and by site: pageviews, engaged seconds and visitors."""
    scope = asked.scope
    return asked.lake.spark.sql(f"""
        with viewed as (
            select
                apikey,
                {scope.local_hour("viewed_at")} as hour_,
                {scope.local_hour("viewed_at")} div 24 as day_,
                pageviews,
                engaged_s,
                if(session_key is null, null, visitor_site_id) as visitor
            from {scope.table("pageviews")}
            where not is_bot and {scope.is_in_period("viewed_at")} and {asked.of_sites}
        )
        select
            apikey, hour_, day_,
            sum(pageviews) as pageviews,
            sum(engaged_s) as engaged_s,
            count(distinct visitor) as visitors
        from viewed
        group by grouping sets ((apikey, hour_), (apikey, day_), (apikey))""").collect()


def views_by_kind(asked: Audience) -> list[Row]:
    """By site and read depth: views and engagement; also of bots, of nobody, and without a pageview event."""
    scope = asked.scope
    return asked.lake.spark.sql(f"""
        select
            apikey, read_depth, is_bot, is_continuation, session_key is null as is_sessionless,
            count(*) as views, sum(pageviews) as pageviews, sum(engaged_s) as engaged_s, sum(heartbeats) as heartbeats
        from {scope.table("pageviews")}
        where {scope.is_in_period("viewed_at")} and {asked.of_sites}
        group by all""").collect()


def sessions(asked: Audience) -> list[Row]:
    """Of each site and, where ``apikey`` is null, of all: the values of each dimension of sessions, and the hours."""
    scope = asked.scope
    of_hour = f"cast({scope.local_hour('started_at')} as string)"
    dimensions = {
        "hour": of_hour,
        "length": _case(LENGTHS),
        "depth": _case(DEPTHS),
        **{name: name for name in FEW_VALUES + MANY_VALUES},
    }
    structs = ", ".join(f"struct('{what}' as what, {sql} as value)" for what, sql in dimensions.items())
    many = ", ".join(f"'{what}'" for what in MANY_VALUES)
    return asked.lake.spark.sql(f"""
        with each as (
            select apikey, pageviews, engaged_s, is_bounce, conversions, what, value
            from {scope.table("sessions")} lateral view inline(array({structs})) as what, value
            where not is_bot and {scope.is_in_period("started_at")} and {asked.of_sites}
        ),
        summed as (
            select
                apikey, what, value,
                count(*) as sessions,
                sum(pageviews) as pageviews,
                sum(engaged_s) as engaged_s,
                count_if(is_bounce) as bounces,
                sum(conversions) as conversions
            from each
            group by grouping sets ((apikey, what, value), (what, value))
        ),
        ranked as (
            select *, row_number() over (partition by apikey, what order by sessions desc, value) as nth from summed
            where not (what in ({many}) and value is null)
        )
        select * from ranked
        where what = 'hour' or nth <= if(what in ({many}), {TOP}, {MOST_VALUES})
        order by apikey, what, nth""").collect()


def posts(asked: Audience) -> list[Row]:
    """The posts of each site with the most pageviews, and of those published in the period likewise."""
    scope = asked.scope
    viewed = scope.of_posts("pageviews", f"not is_bot and {scope.is_in_period('viewed_at')} and t.{asked.of_sites}")
    return asked.lake.spark.sql(f"""
        with summed as (
            select
                apikey, post_id,
                sum(pageviews) as pageviews,
                sum(engaged_s) as engaged_s,
                count(distinct if(session_key is null, null, visitor_site_id)) as visitors,
                sum(if(read_depth = 'deep', pageviews, 0)) as deep
            from ({viewed})
            where post_id is not null
            group by apikey, post_id
            having pageviews > 0
        ),
        told as (
            select s.*, title, published_at is not null and {scope.is_in_period("published_at")} as is_new
            from summed s left join {scope.table("posts")} p on p.apikey = s.apikey and p.post_id = s.post_id
        ),
        ranked as (
            select
                *,
                row_number() over (partition by apikey order by pageviews desc, post_id) as nth,
                row_number() over (partition by apikey, is_new order by pageviews desc, post_id) as nth_of_kind
            from told
        )
        select * from ranked
        where nth <= {TOP} or is_new and nth_of_kind <= {NEW_POSTS}
        order by pageviews desc, post_id""").collect()


def first_hours(asked: Audience, post_ids: Collection[str]) -> list[Row]:
    """Of some posts, the pageviews in each hour since publication."""
    rows = ask(asked.lake, "first_72_hours", asked.scope_of_all)
    return (
        rows.where(F.col("apikey").isin(*asked.sites) & F.col("post_id").isin(*post_ids))
        .select("apikey", "post_id", "hours_since_publish", "pageviews", "engaged_s")
        .collect()
    )


def content(asked: Audience) -> list[Row]:
    """The authors, sections and tags of each site with the most pageviews; which of them a row is stands in ``what``.

    One question, because all three look at the same pageviews, which Spark then reads once.
    """
    numbers = ("pageviews", "engaged_s", "visitors", "posts_viewed", "posts_published")
    each = [
        asked.view(view)
        .where("pageviews > 0")
        .select(F.lit(view).alias("what"), "apikey", F.col(name).alias("name"), *numbers)
        for view, name in CONTENT.items()
    ]
    order = Window.partitionBy("what", "apikey").orderBy(F.desc("pageviews"), "name")
    ranked = reduce(DataFrame.unionAll, each).withColumn("nth", F.row_number().over(order))
    return ranked.where(F.col("nth") <= TOP).orderBy(F.desc("pageviews"), "name").collect()


def campaigns(asked: Audience) -> list[Row]:
    """The campaigns of each site with the most sessions."""
    rows = (
        asked.view("campaigns")
        .groupBy("apikey", "utm_source", "utm_medium", "utm_campaign")
        .agg(*[F.sum(name).alias(name) for name in ("sessions", "bounces", "pageviews", "engaged_s", "conversions")])
    )
    return _first(rows, "sessions", "utm_source", "utm_medium", "utm_campaign").collect()


def visitors(asked: Audience) -> list[Row]:
    """Who was there in the 30 days that end with the period: how many are new, how many returned, how loyal."""
    last_day = asked.period.until - timedelta(days=1)
    rows = ask(asked.lake, "visitors", replace(asked.scope_of_all, as_of=last_day))
    return (
        rows.where(F.col("apikey").isin(*asked.sites) & ~F.col("is_bot"))
        .groupBy("apikey", "visitor_type", "tier", "is_loyal")
        .agg(F.count("*").alias("visitors"), F.sum("pageviews_30d").alias("pageviews"))
        .collect()
    )


def videos(asked: Audience) -> list[Row]:
    """By site and depth, and the videos of each site that were watched the longest."""
    scope = asked.scope
    return asked.lake.spark.sql(f"""
        with summed as (
            select
                apikey, watch_depth, video_id,
                grouping(video_id) = 1 as is_depth,
                count(*) as views,
                sum(videostarts) as videostarts,
                sum(watched_s) as watched_s,
                max(title) as title
            from {scope.table("videoviews")}
            where not is_bot and {scope.is_in_period("started_at")} and {asked.of_sites}
            group by grouping sets ((apikey, watch_depth), (apikey, video_id))
        )
        select * from (
            select *, row_number() over (partition by apikey, is_depth order by videostarts desc, video_id) as nth
            from summed
        )
        where is_depth or nth <= {TOP}
        order by videostarts desc, video_id""").collect()


def conversions(asked: Audience) -> list[Row]:
    """By site, type and label."""
    scope = asked.scope
    rows = asked.lake.spark.sql(f"""
        select apikey, conversion_type, conversion_label, count(*) as conversions
        from {scope.table("conversions")}
        where not is_bot and {scope.is_in_period("converted_at", "date")} and {asked.of_sites}
        group by all""")
    return _first(rows, "conversions", "conversion_type", "conversion_label").collect()


def attribution(asked: Audience) -> list[Row]:
    """By site, the credit that each model gives: to classes of referrers, and to the posts that have the most."""
    credit = [F.sum(F.when(F.col("model") == model, F.col("credit")).otherwise(0.0)).alias(model) for model in MODELS]
    rows = asked.view("conversion_attribution").where(~F.col("is_bot"))
    each = rows.select(
        "apikey",
        "model",
        "credit",
        F.inline(
            F.array(
                F.struct(
                    F.lit("source").alias("what"), F.col("referrer_category").alias("value"), F.lit(None).alias("title")
                ),
                F.struct(F.lit("post").alias("what"), F.col("post_id").alias("value"), F.col("title")),
            )
        ),
    )
    summed = each.groupBy("apikey", "what", "value").agg(F.max("title").alias("title"), *credit)
    order = Window.partitionBy("apikey", "what").orderBy(F.desc("linear"), "value")
    return (
        summed.withColumn("nth", F.row_number().over(order))
        .where((F.col("what") == "source") | (F.col("value").isNotNull() & (F.col("nth") <= TOP)))
        .orderBy(F.desc("linear"), "value")
        .collect()
    )


def _first(rows: DataFrame, most: str, *names: str) -> DataFrame:
    """The rows of each site with the most of *most*."""
    order = Window.partitionBy("apikey").orderBy(F.desc(most), *names)
    return rows.withColumn("nth", F.row_number().over(order)).where(F.col("nth") <= TOP).orderBy(F.desc(most), *names)


def _case(classes: dict[str, str]) -> str:
    return f"case {' '.join(f'when {condition} then {text(label)}' for label, condition in classes.items())} end"
