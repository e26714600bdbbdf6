"""The options of ``parsely-kinesis``, as ``.option()`` gives them and the settings of ``stream`` name them."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING

from parsely_spark.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True, kw_only=True)
class Options:
    """What to read, and how.

    Attributes:
        stream: name or ARN.
        region: of AWS; by default that of the ARN, else what AWS tools find.
        endpoint_url: of another server than AWS's.
        role_arn: a role to assume, as of the account that the stream is in.
        start: ``trim_horizon``, ``latest`` or an instant with a zone (ISO 8601), where a checkpoint does not tell.
        slice_s: seconds of arrival that a batch has at most.
        slice_mib: of data that a batch has of one shard, about.
        spacing_ms: between two calls for one shard; AWS takes five a second, from all readers together.
        retry_s: for how long a call that is refused because of its rate, or fails on the way, is made again.
        on_gap: ``fail`` or ``heal-later``, where records may have gone unread.
    """

    stream: str
    region: str | None = None
    endpoint_url: str | None = None
    role_arn: str | None = None
    start: str = "trim_horizon"
    slice_s: int = 600
    slice_mib: int = 64
    spacing_ms: int = 250
    retry_s: int = 120
    on_gap: str = "fail"

    @classmethod
    def of(cls, given: Mapping[str, str]) -> Options:
        """Options from what ``.option()`` was given; names in any case.

        Raises:
            SettingsError: if one is unknown, missing or wrong.
        """
        kinds = {field.name: field for field in fields(cls)}
        texts = {name.lower(): text for name, text in given.items()}
        if unknown := sorted(texts.keys() - kinds.keys()):
            raise SettingsError(f"parsely-kinesis has no option {unknown[0]}; there are {', '.join(kinds)}.")
        if not texts.get("stream"):
            raise SettingsError("parsely-kinesis was given no option stream; give the stream's name or ARN.")
        values = {name: _value(name, text, whole=kinds[name].type == "int") for name, text in texts.items()}
        options = cls(**values)  # type: ignore[arg-type]  # of the types that the fields have
        options.begin  # noqa: B018  # is checked by being read
        if options.on_gap not in ("fail", "heal-later"):
            raise SettingsError(f"on_gap={options.on_gap!r} is neither fail nor heal-later; give one of them.")
        return options

    @property
    def begin(self) -> str | int:
        """`start` as the planner takes it: ``horizon``, ``latest`` or epoch ms."""
        if self.start in ("trim_horizon", "latest"):
            return self.start.removeprefix("trim_")
        try:
            instant = datetime.fromisoformat(self.start)
        except ValueError:
            instant = None
        if instant is None or instant.tzinfo is None:
            raise SettingsError(
                f"start={self.start!r} is no start; give trim_horizon, latest or an instant with its zone, such as "
                "2026-01-14T12:00:00Z."
            )
        return round(instant.timestamp() * 1000)

    @property
    def name_or_arn(self) -> dict[str, str]:
        """How AWS's requests name the stream."""
        return {"StreamARN" if self.stream.startswith("arn:") else "StreamName": self.stream}

    @property
    def region_of_arn(self) -> str | None:
        """The region that the stream's ARN names; None for a name."""
        match = re.match(r"arn:[^:]*:kinesis:([^:]+):", self.stream)
        return match[1] if match else None


def _value(name: str, text: str, *, whole: bool) -> str | int:
    if not whole:
        return text
    if not re.fullmatch(r"[1-9]\d{0,8}", text):
        raise SettingsError(f"{name}={text!r} is no whole number above 0; give one.")
    return int(text)
