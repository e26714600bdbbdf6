"""How far the clock of this machine is from that of a server."""

from __future__ import annotations

import http.client
import time
import urllib.error
import urllib.request
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from parsely_spark.doctor.finding import NotReachedError
from parsely_spark.errors import SettingsError

if TYPE_CHECKING:
    from email.message import Message

# AWS's signatures (version 4) hold the time of a request, and one from further away is refused. S3 alone takes 15 min.
MOST_SKEW_S = 300
_PATIENCE_S = 5.0


def look_at_clock(url: str) -> str:
    """Ask the server at *url*, without a signature: a refusal tells the time as well.

    Raises:
        SettingsError: if the clocks are too far apart.
        NotReachedError: if nobody tells the time.
    """
    sent_at = time.time()
    date = _head(url).get("Date")
    come_at = time.time()
    try:
        theirs = parsedate_to_datetime(date or "").timestamp() + 0.5  # whole seconds are told
    except ValueError:
        raise NotReachedError(f"{url} does not tell the time") from None
    skew_s = round((sent_at + come_at) / 2 - theirs)
    found = f"{abs(skew_s):,} s {'behind' if skew_s < 0 else 'ahead of'} {url}"
    if abs(skew_s) > MOST_SKEW_S:
        raise SettingsError(
            f"this machine's clock is {found}, and AWS refuses requests that are more than {MOST_SKEW_S} s off; set "
            "it, best by NTP."
        )
    return found


def _head(url: str) -> Message:
    """The headers of the answer, whatever it is; S3 sends whoever does not sign to a page about S3."""
    try:
        with urllib.request.build_opener(_Stay).open(
            urllib.request.Request(url, method="HEAD"), timeout=_PATIENCE_S
        ) as answer:
            headers: Message = answer.headers
    except urllib.error.HTTPError as refusal:
        headers = refusal.headers
    except (OSError, http.client.HTTPException):
        raise NotReachedError(f"{url} does not answer") from None
    return headers


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None
