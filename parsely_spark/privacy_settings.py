"""What of a visitor is not stored: settings of ``batch`` and ``stream``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from parsely_spark.declaration import Settings, one_of, setting
from parsely_spark.errors import SettingsError

KEEP, TRUNCATE, DROP = HOW_MUCH = ("keep", "truncate", "drop")
# What separates parameters, or is written otherwise in a URL than it is meant.
_NO_NAME = re.compile(r"[\s&=#?;%+*\"\\\x00-\x1f]")
_MOST_LETTERS = 128


def _check_parameter(where: str, name: str) -> None:
    if _NO_NAME.search(name) or len(name) > _MOST_LETTERS:
        raise SettingsError(
            f"{where}={name!r} is no name of one parameter; write it as it is without percent signs, such as email, "
            "and give the setting again for each other one."
        )


@dataclass(frozen=True, kw_only=True)
class PrivacySettings(Settings):
    """What is cut out of events and rejected lines before they are written; by default nothing."""

    visitor_ip: str = setting(
        "the visitor's address: keep, truncate (IPv4 to /24, IPv6 to /48, and null where it is none) or drop; what is "
        "stored already stays as it is, here and below",
        default=KEEP,
        metavar="HOW",
        check=one_of(*HOW_MUCH),
    )
    user_agent: str = setting(
        "the User-Agent: keep, truncate (browser, major version and platform) or drop; the versions and the device in "
        "ua_ fields go with either",
        default=KEEP,
        metavar="HOW",
        check=one_of(*HOW_MUCH),
    )
    strip_query: tuple[str, ...] = setting(
        "a parameter to take out of every URL, whatever its case and encoding; repeatable",
        default=(),
        metavar="NAME",
        example=("email",),
        check=_check_parameter,
    )

    @property
    def keeps_all(self) -> bool:
        """Whether nothing is cut."""
        return not self.strip_query and self.visitor_ip == KEEP and self.user_agent == KEEP


KEEP_ALL = PrivacySettings()
