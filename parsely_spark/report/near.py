"""Whose audience a report is about, and its pageviews, read once for all that is asked of them."""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING
from uuid import uuid4

from pyspark.sql import functions as F

from parsely_spark.keeping import kept
from parsely_spark.tables.views import ask
from parsely_spark.tables.views.view import DAYS_OF_URLS, Scope, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from pyspark.sql import DataFrame

    from parsely_spark.report.figures import Period
    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.catalog import Lake

NEEDED = frozenset({"pageviews", "posts"})
# What the questions of the period and their views ask of pageviews. To scan wide rows in many files a dozen times was
# most of a report; of these columns, a kept row takes some 170 bytes.
_COLUMNS = (
    *("apikey", "pageview_key", "pageview_id", "session_key", "visitor_site_id"),
    *("viewed_at", "last_viewed_at", "url_clean", "post_id", "title", "section", "page_type"),
    *("channel", "referrer_category", "referrer_domain", "utm_source", "utm_medium", "utm_campaign"),
    *("pageviews", "engaged_s", "heartbeats", "read_depth", "is_bot", "is_continuation"),
)


@dataclass(frozen=True, kw_only=True)
class Audience:
    """Whose audience is asked about.

    Attributes:
        lake: where the tables are.
        reporting: what the views go by.
        period: of the report.
        sites: that are shown.
        pageviews: where SQL finds those of the period, if not in the lake's table.
        urls: as `Scope` has them, of those.
    """

    lake: Lake
    reporting: ReportingSettings
    period: Period
    sites: tuple[str, ...]
    pageviews: str | None = None
    urls: Mapping[int, str] = field(default_factory=dict)

    @property
    def scope(self) -> Scope:
        """Of the period, for SQL."""
        near = {"pageviews": self.pageviews} if self.pageviews else {}
        return Scope(
            table=lambda name: near.get(name) or self.lake.name_of(name),
            reporting=self.reporting,
            since=self.period.since,
            until=self.period.until,
            urls=self.urls,
        )

    @property
    def scope_of_all(self) -> Scope:
        """Of all that the lake holds. A question is asked only where its tables are there."""
        return Scope(table=self.lake.name_of, reporting=self.reporting)

    @property
    def of_sites(self) -> str:
        """SQL of whether a row is of one of the sites."""
        return f"apikey in ({', '.join(map(text, self.sites))})"

    def view(self, name: str) -> DataFrame:
        """The rows of a view that can be asked about the period."""
        return ask(self.lake, name, self.scope).where(F.col("apikey").isin(*self.sites))


@contextmanager
def near_pageviews(asked: Audience) -> Iterator[Audience]:
    """Whoever asks about the period in the block, asks rows that are kept: its own, and of `days_of_conversions`."""
    scope = asked.scope
    days = scope.days_of_conversions
    rows = (
        asked.lake.read("pageviews")
        .where(scope.is_near_period("viewed_at", days_before=days))
        .where(asked.of_sites)
        .select(*_COLUMNS)
    )
    with ExitStack() as stack:
        near = replace(asked, pageviews=stack.enter_context(_named(rows)))
        urls = {
            some: stack.enter_context(_named(asked.lake.spark.sql(near.scope.posts_of_urls(some))))
            for some in {days, DAYS_OF_URLS}
        }
        yield replace(near, urls=urls)


@contextmanager
def _named(rows: DataFrame) -> Iterator[str]:
    """The name by which SQL finds *rows*, which are kept in the block."""
    name = f"parsely_report_{uuid4().hex}"
    with kept(rows) as those:
        those.createOrReplaceTempView(name)
        try:
            yield name
        finally:
            rows.sparkSession.catalog.dropTempView(name)
