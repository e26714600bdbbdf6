"""What views and reports go by: the time zone of dates, and what counts as loyal or as a cause."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from zoneinfo import available_timezones

from parsely_spark.declaration import Settings, between, setting
from parsely_spark.errors import SettingsError

if TYPE_CHECKING:
    from datetime import date

MOST_DAYS = 366  # of a report
MOST_SITES = 12  # of a report; each is a page of its own in the file

# What a machine has beside the names of places: its own choice, and each place again with leap seconds or without.
_NO_PLACE = re.compile(r"(posix|right)/.*|posixrules|localtime|Factory|ROC")


def _check_timezone(where: str, name: str) -> None:
    # A machine without a list of time zones knows none of them; the JVM has a list of its own.
    known = available_timezones() or {name}
    if name not in known or _NO_PLACE.fullmatch(name) or not re.fullmatch(r"[A-Za-z]+(/[A-Za-z0-9_+-]+)*", name):
        raise SettingsError(f"{where}={name!r} is no time zone; write a name such as America/New_York.")


def check_period(since: date, until: date) -> None:
    """Refuse a period of no day, or of more than can be shown.

    Raises:
        SettingsError: if it is one.
    """
    if since >= until:
        raise SettingsError(f"from={since} is not before until={until}; no date lies between them.")
    if (days := (until - since).days) > MOST_DAYS:
        raise SettingsError(
            f"from={since} until={until} are {days:,} days; a report is about {MOST_DAYS} at most, give dates closer "
            "to each other."
        )


_TYPES = ("string", "bigint", "double", "boolean", "timestamp", "date")


def _check_extra_data(where: str, text: str) -> None:
    key, _, type_ = text.rpartition(":")
    if not re.fullmatch(r"[\w.-]+", key) or type_ not in _TYPES:
        raise SettingsError(f"{where}={text!r} is no key and type; write KEY:TYPE, TYPE one of {', '.join(_TYPES)}.")


@dataclass(frozen=True, kw_only=True)
class DepthSettings(Settings):
    """What counts as reading and watching; by default what Parse.ly's dbt models have, where 15 s is a skim still."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("deep_read_s", "deep_watch_s"):
            if getattr(self, name) < self.skim_s:
                raise SettingsError(
                    f"{name}={getattr(self, name)} is less than skim_s={self.skim_s}; nothing could lie between them."
                )

    skim_s: int = setting(
        "seconds below which a page or video was only skimmed; after a change of this or the next two, rebuild "
        "pageviews and videoviews",
        default=15,
        metavar="S",
        check=between(0, 86_400),
    )
    deep_read_s: int = setting(
        "seconds above which a page was read deeply", default=40, metavar="S", check=between(0, 86_400)
    )
    deep_watch_s: int = setting(
        "seconds above which a video was watched deeply", default=60, metavar="S", check=between(0, 86_400)
    )


@dataclass(frozen=True, kw_only=True)
class AudienceSettings(Settings):
    """What views and the report go by: dates, and who and what counts."""

    timezone: str = setting(
        "time zone of every local date in views and reports",
        default="UTC",
        metavar="ZONE",
        example="America/New_York",
        check=_check_timezone,
    )
    look_back_days: int = setting(
        "days before a conversion in which pages get credit for it", default=30, metavar="N", check=between(1, 3650)
    )
    loyal_pageviews: int = setting(
        "pageviews, ever, from which on a visitor is loyal", default=100, metavar="N", check=between(1)
    )
    loyal_pageviews_30d: int = setting(
        "pageviews in 30 days from which on a visitor is loyal", default=30, metavar="N", check=between(1)
    )


@dataclass(frozen=True, kw_only=True)
class ReportingSettings(AudienceSettings):
    """What views go by."""

    extra_data: tuple[str, ...] = setting(
        "a key of extra_data that custom_events has as a column, and its type; repeatable",
        default=(),
        metavar="KEY:TYPE",
        example=("subscriber_type:string",),
        check=_check_extra_data,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        keys = [key.lower() for key, _ in self.extra_data_columns]  # in SQL, Plan and plan are one name
        for key in keys:
            if keys.count(key) > 1:
                raise SettingsError(f"extra_data has the key {key} twice; give each key one type.")

    @property
    def extra_data_columns(self) -> tuple[tuple[str, str], ...]:
        """The keys with their types."""
        return tuple((key, type_) for key, _, type_ in (text.rpartition(":") for text in self.extra_data))
