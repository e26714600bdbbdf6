"""What a view is, and the pieces of SQL that several have."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pyspark.errors import DateTimeException

from parsely_spark.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from datetime import date

    from pyspark.sql import SparkSession

    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.spec import TableColumn

DAYS_OF_URLS = 30  # before a period, in which pageviews tell of which post a URL is


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a view is asked about.

    Attributes:
        table: gives the name by which SQL finds a table.
        reporting: the settings.
        as_of: the last local date that counts; the lake's last where None.
        since: the first local date that counts.
        until: the first local date that does not count any more.
        urls: names by which SQL finds what is kept of `posts_of_urls`, by the days before.
    """

    table: Callable[[str], str]
    reporting: ReportingSettings
    as_of: date | None = None
    since: date | None = None
    until: date | None = None
    urls: Mapping[int, str] = field(default_factory=dict)

    @property
    def days_of_conversions(self) -> int:
        """Days before a period in which a page can have a share in a conversion, or tell of which post its URL is."""
        return max(self.reporting.look_back_days, DAYS_OF_URLS)

    def local_date(self, instant: str) -> str:
        """SQL of the date of *instant* in the reporting time zone, whatever the session's."""
        return f"date_from_unix_date(cast(floor({self._local_ms(instant)} / 86400000) as int))"

    def local_hour(self, instant: str) -> str:
        """SQL of the hour of *instant* by the clock of that zone, as whole hours since the epoch."""
        return f"cast(floor({self._local_ms(instant)} / 3600000) as bigint)"

    def _local_ms(self, instant: str) -> str:
        return f"unix_millis(from_utc_timestamp({instant}, '{self.reporting.timezone}'))"

    def midnight(self, day: str) -> str:
        """SQL of the instant at which the local date *day* begins."""
        return f"to_utc_timestamp(timestamp_millis(unix_date({day}) * 86400000L), '{self.reporting.timezone}')"

    def is_in_period(self, instant: str, date: str | None = None) -> str:
        """SQL of whether the local date of *instant* counts; *date* is its UTC date where that is a partition."""
        day = self.local_date(instant)
        bounds = [f"{day} {sign} {literal(end)}" for sign, end in ((">=", self.since), ("<", self.until)) if end]
        return " and ".join([*bounds, self.is_near_period(instant, date)])

    def is_near_period(self, instant: str, date: str | None = None, *, days_before: int = 0) -> str:
        """SQL that is true in the period and the *days_before* it, and by which Delta leaves out files outside.

        No time zone is more than a day from UTC, and files tell of their times, not of local dates.
        """
        near = []
        for sign, end, days in ((">=", self.since, -1 - days_before), ("<", self.until, 1)):
            if end is not None:
                there = f"date_add({literal(end)}, {days})"
                near.append(f"{instant} {sign} timestamp_millis(unix_date({there}) * 86400000L)")
                near += [f"{date} {sign} {there}"] if date else []
        return " and ".join(near) or "true"

    def of_posts(self, table: str, where: str = "true", *, days_before: int = DAYS_OF_URLS) -> str:
        """SQL of the rows of *table*, with the post that most of the pageviews at its URL were of in ``post_id``.

        Trackers send heartbeats, and apps much else, without metadata. Their ``post_id`` is a mere URL then, such as
        that of an AMP page whose pageviews name another as canonical. A post of a title is never taken for another,
        and a page, such as a front page, that is now and then sent with the metadata of a post is not one.

        The pageviews that tell are those of the period and of *days_before* it, so that a day costs the same in a lake
        of years: hardly anybody stays with a page for longer, and a URL that is taken over is its new post's.
        """
        return f"""
            select t.* except (post_id), coalesce(canonical, t.post_id) as post_id
            from {self.table(table)} t
            left join {self.urls.get(days_before) or f"({self.posts_of_urls(days_before)})"}
                on of_site = t.apikey and mere_url = t.post_id
            where {where}"""

    def posts_of_urls(self, days_before: int) -> str:
        """SQL of the URLs that stand for a post of another name; for `of_posts`, which says of when."""
        return f"""
            select u.apikey as of_site, url_clean as mere_url, max_by(u.post_id, seen) as canonical
            from (
                select apikey, url_clean, post_id, sum(pageviews) as seen
                from {self.table("pageviews")}
                where url_clean <> '' and {self.is_near_period("viewed_at", days_before=days_before)}
                group by all
            ) u
            left anti join {self.table("posts")} p
                on p.apikey = u.apikey and p.post_id = u.url_clean and p.title is not null
            group by u.apikey, url_clean
            having 2 * max(seen) > sum(seen) and canonical <> url_clean"""


@dataclass(frozen=True, kw_only=True)
class View:
    """The declaration of one view.

    Attributes:
        name: the view.
        grain: what one row is, as a sentence.
        columns: in the order of the view.
        sql: the query.
        takes: which of ``as_of``, ``since`` and ``until`` it can be asked with.
        more_columns: names and types of those that follow by the settings.
    """

    name: str
    grain: str
    columns: tuple[TableColumn, ...]
    sql: Callable[[Scope], str]
    takes: tuple[str, ...] = ()
    more_columns: Callable[[ReportingSettings], tuple[tuple[str, str], ...]] = lambda reporting: ()


def check_for_spark(spark: SparkSession, views: Iterable[View], reporting: ReportingSettings) -> None:
    """Refuse settings by which one of *views* could be made and not be read.

    Raises:
        SettingsError: if the JVM does not know the time zone, or a key of ``extra_data`` is a column already.
    """
    try:
        spark.sql(f"select from_utc_timestamp(current_timestamp(), {text(reporting.timezone)})").collect()
    except DateTimeException as error:
        raise SettingsError(
            f"timezone={reporting.timezone!r} is unknown to Spark's Java; write a name such as America/New_York."
        ) from error
    for view in views:
        view.more_columns(reporting)


def literal(day: date) -> str:
    """SQL of a date."""
    return f"date'{day.isoformat()}'"


def distinct_in(sketches: str) -> str:
    """SQL of how many distinct values *sketches* have seen: their union, asked as `measures.estimated` does.

    The union of a single row is no merged sketch yet.
    """
    union = f"hll_union_agg({sketches})"
    return f"hll_sketch_estimate(hll_union({union}, {union}))"


def text(of: str) -> str:
    """SQL of a text."""
    escaped = of.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
