"""How a Kinesis stream is read: settings of ``stream``, and the options of the data source ``parsely-kinesis``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from parsely_spark.declaration import Settings, between, declared, one_of, setting, type_of
from parsely_spark.errors import SettingsError
from parsely_spark.places import check_endpoint, check_uri

if TYPE_CHECKING:
    from collections.abc import Mapping

# The data sources that can read a stream: ours, EMR's connector and Databricks' own.
READERS = OURS, OF_EMR, OF_DATABRICKS = "parsely-kinesis", "aws-kinesis", "databricks"
_OURS_ALONE = "shard_s", "shard_mib", "read_tasks", "spacing_ms", "retry_s"


def _check_stream(where: str, name: str) -> None:
    if not re.fullmatch(r"[\w.-]{1,128}|arn:[\w-]+:kinesis:[\w-]+:\d{12}:stream/[\w.-]{1,128}", name, re.ASCII):
        raise SettingsError(f"{where}={name!r} is no name and no ARN of a stream; give one of them.")


def _check_start(where: str, text: str) -> None:
    if text in ("trim_horizon", "latest"):
        return
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        instant = None
    if instant is None or instant.tzinfo is None:
        raise SettingsError(
            f"{where}={text!r} is no start; give trim_horizon, latest or an instant with its zone, such as "
            "2026-01-14T12:00:00Z."
        )
    if instant > datetime.now(UTC):
        raise SettingsError(f"{where}={text!r} lies in the future; give an instant that was, or latest.")


@dataclass(frozen=True, kw_only=True)
class KinesisSettings(Settings):
    """What to read, and how."""

    stream: str = setting(
        "the Kinesis stream: its name or ARN", metavar="NAME", example="parsely-dw-example-com", check=_check_stream
    )
    region: str | None = setting(
        "AWS region of the stream; that of the ARN, or what AWS tools find, by default",
        default=None,
        metavar="REGION",
        example="us-east-1",
    )
    endpoint_url: str | None = setting(
        "address of another Kinesis than AWS's",
        default=None,
        metavar="URL",
        example="http://localhost:4567",
        check=check_endpoint,
    )
    role_arn: str | None = setting(
        "role to assume for reading, as where the stream is in another account",
        default=None,
        metavar="ARN",
        example="arn:aws:iam::123456789012:role/reader",
    )
    start: str = setting(
        "where to begin without a checkpoint: trim_horizon, latest or an instant with its zone",
        default="trim_horizon",
        metavar="START",
        check=_check_start,
    )
    shard_s: int = setting(
        "seconds of arrival that a batch takes of one shard at most", default=600, metavar="S", check=between(1)
    )
    shard_mib: int = setting("MiB of data, likewise, about", default=64, metavar="N", check=between(1))
    read_tasks: int = setting(
        "tasks that read a batch, each several shards at once; 0 is one for each shard, and for `stream` where Spark "
        "runs in one process one for each core",
        default=0,
        metavar="N",
        check=between(0),
    )
    spacing_ms: int = setting(
        "ms between two calls for one shard; AWS takes five a second from all readers together",
        default=250,
        metavar="MS",
        check=between(1, 60_000),
    )
    retry_s: int = setting(
        "seconds for which a call that AWS refuses because of its rate, or that fails on the way, is made again",
        default=120,
        metavar="S",
        check=between(1),
    )
    on_gap: str = setting(
        "where the stream may have lost records before they were read: fail, or heal-later, which goes on and notes it",
        default="fail",
        metavar="WHAT",
        check=one_of("fail", "heal-later"),
    )

    @classmethod
    def of_options(cls, given: Mapping[str, str]) -> KinesisSettings:
        """Settings from what ``.option()`` was given; names in any case.

        Raises:
            SettingsError: if one is unknown, missing or wrong.
        """
        kinds = {name: type_of(cls, name) for name in declared(cls)}
        texts = {name.lower(): text for name, text in given.items()}
        if unknown := sorted(texts.keys() - kinds.keys()):
            raise SettingsError(f"parsely-kinesis has no option {unknown[0]}; there are {', '.join(kinds)}.")
        if "stream" not in texts:
            raise SettingsError("parsely-kinesis was given no option stream; give the stream's name or ARN.")
        for name, text in texts.items():
            if kinds[name] is int and not re.fullmatch(r"\d{1,9}", text):
                raise SettingsError(f"{name}={text!r} is no whole number; give one.")
        values: dict[str, Any] = {name: int(text) if kinds[name] is int else text for name, text in texts.items()}
        return cls(**values)

    @property
    def begin(self) -> str | int:
        """`start` as the planner takes it: ``horizon``, ``latest`` or epoch ms."""
        if self.start in ("trim_horizon", "latest"):
            return self.start.removeprefix("trim_")
        return round(datetime.fromisoformat(self.start).timestamp() * 1000)

    @property
    def name_or_arn(self) -> dict[str, str]:
        """How AWS's requests name the stream."""
        return {"StreamARN" if self.stream.startswith("arn:") else "StreamName": self.stream}

    @property
    def region_of_arn(self) -> str | None:
        """The region that the stream's ARN names; None for a name."""
        match = re.match(r"arn:[^:]*:kinesis:([^:]+):", self.stream)
        return match[1] if match else None


@dataclass(frozen=True, kw_only=True)
class FollowSettings(KinesisSettings):
    """How a stream is followed."""

    checkpoint: str = setting(
        "folder in which Spark notes how far it is; one for each stream and lake",
        metavar="URI",
        example="s3a://example-lake/parsely/_checkpoints/stream",
        check=check_uri,
    )
    reader: str = setting(
        "who reads: we by default, or as aws-kinesis EMR's connector, or databricks",
        default=OURS,
        metavar="NAME",
        check=one_of(*READERS),
    )
    trigger_s: int = setting(
        "seconds from the begin of a batch to that of the next", default=10, metavar="S", check=between(1)
    )
    fold_every_s: int = setting(
        "seconds after which the derived tables are brought up to date again; events come with every batch",
        default=60,
        metavar="S",
        check=between(0, 86_400),
    )
    available_now: bool = setting("end with what is in the stream by now", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.reader == OURS:
            return
        unknown = [name for name in _OURS_ALONE if getattr(self, name) != declared(KinesisSettings)[name].default]
        if self.reader == OF_EMR and self.available_now:
            unknown.append("available_now")
        if self.reader == OF_DATABRICKS and self.on_gap != "fail":
            unknown.append(f"on_gap {self.on_gap}")
        if unknown:
            flag = f"--{unknown[0].replace('_', '-')}"
            raise SettingsError(f"reader={self.reader!r} knows no {flag}; leave that out, or give --reader {OURS}.")
        if self.reader == OF_EMR and not (self.region or self.region_of_arn or self.endpoint_url):
            raise SettingsError(f"reader={self.reader!r} has to be told the region of the stream; give --region.")
