"""What a view is, and the pieces of SQL that several have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

    from parsely_spark.reporting import ReportingSettings
    from parsely_spark.tables.catalog import TableColumn


@dataclass(frozen=True, kw_only=True)
class Scope:
    """What a view is asked about.

    Attributes:
        table: gives the name by which SQL finds a table.
        reporting: the settings.
        as_of: the last local date that counts; the lake's last where None.
        since: the first local date that counts.
        until: the first local date that does not count any more.
    """

    table: Callable[[str], str]
    reporting: ReportingSettings
    as_of: date | None = None
    since: date | None = None
    until: date | None = None

    def local_date(self, instant: str) -> str:
        """SQL of the date of *instant* in the reporting time zone, whatever the session's."""
        local_ms = f"unix_millis(from_utc_timestamp({instant}, '{self.reporting.timezone}'))"
        return f"date_from_unix_date(cast(floor({local_ms} / 86400000) as int))"

    def midnight(self, day: str) -> str:
        """SQL of the instant at which the local date *day* begins."""
        return f"to_utc_timestamp(timestamp_millis(unix_date({day}) * 86400000L), '{self.reporting.timezone}')"

    def is_in_period(self, instant: str) -> str:
        """SQL of whether the local date of *instant* counts."""
        day = self.local_date(instant)
        bounds = [f"{day} {sign} {literal(end)}" for sign, end in ((">=", self.since), ("<", self.until)) if end]
        return " and ".join(bounds) or "true"

    def canonical(self) -> str:
        """SQL of the post that a URL is of: ``apikey``, ``url_clean``, ``canonical``.

        Trackers send heartbeats and apps send much else without metadata, so only its URL says which post it is of.
        """
        return f"""
            select apikey, url_clean, max_by(post_id, struct(post_id = url_clean, last_seen_at, post_id)) as canonical
            from {self.table("posts")} lateral view explode(urls) as url_clean
            where title is not null
            group by apikey, url_clean"""


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


def literal(day: date) -> str:
    """SQL of a date."""
    return f"date'{day.isoformat()}'"


def text(of: str) -> str:
    """SQL of a text."""
    escaped = of.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"
