"""Hours and dates as users write them, and hours as the folders of raw events have them."""

from __future__ import annotations

import re
from datetime import date, datetime

from parsely_spark.errors import SettingsError


def check_hour(where: str, text: str) -> None:
    """Refuse what is no hour; *where* is what the setting is called in the place it comes from."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d(T\d\d)?", text):
            raise ValueError
        datetime.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{where}={text!r} is no hour; write YYYY-MM-DD or YYYY-MM-DDTHH, in UTC.") from None


def folder_of(hour: str | None) -> str | None:
    """The folder of an *hour*; None for None."""
    return hour and datetime.fromisoformat(hour).strftime("%Y/%m/%d/%H")


def check_date(where: str, text: str) -> None:
    """Refuse what is no date."""
    try:
        if not re.fullmatch(r"\d{4}-\d\d-\d\d", text):
            raise ValueError
        date.fromisoformat(text)
    except ValueError:
        raise SettingsError(f"{where}={text!r} is no date; write YYYY-MM-DD.") from None


def date_of(text: str | None) -> date | None:
    """The date that *text* writes; None for None."""
    return None if text is None else date.fromisoformat(text)
