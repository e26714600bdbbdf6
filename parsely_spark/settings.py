"""What a run is told: flags over environment over a TOML file, checked once, before Spark starts.

Each command has a frozen dataclass. Its fields are the one declaration of a setting: the flag, the environment
variable, the key in the file, the help text and the page ``docs/settings.md`` come from it.
"""

from __future__ import annotations

import dataclasses
import re
from dataclasses import dataclass, field
from typing import Any

from parsely_spark.errors import SettingsError
from parsely_spark.places import absolute, check_local_source, check_uri, local_path


def setting(meaning: str, *, default: Any = dataclasses.MISSING, metavar: str | None = None) -> Any:
    """Declare one setting: what it means, its default, and how its value is called in the usage line."""
    return field(default=default, metadata={"meaning": meaning, "metavar": metavar})


@dataclass(frozen=True, kw_only=True)
class SparkSettings:
    """How the session is made where the program makes it itself (a laptop, spark-submit)."""

    verbose: bool = setting("show Spark's own log", default=False)
    s3_endpoint_url: str | None = setting(
        "S3 server other than AWS, reached by path-style requests; AWS_ENDPOINT_URL_S3 serves too",
        default=None,
        metavar="URL",
    )
    # Of the settings file only: its table [spark], for credentials per bucket and whatever else Spark knows.
    spark: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        url = self.s3_endpoint_url
        if url is not None and not re.match(r"https?://[^/]+/?$", url):
            raise SettingsError(f"s3_endpoint_url={url!r} is not http(s)://host:port; write it without a path.")


@dataclass(frozen=True, kw_only=True)
class LakeSettings(SparkSettings):
    """Where the tables are."""

    lake: str | None = setting("folder of the tables: a local path, s3a:// or s3://", default=None, metavar="URI")
    catalog: str | None = setting("catalog schema of the tables, instead of a folder", default=None, metavar="NAME")

    def __post_init__(self) -> None:
        super().__post_init__()
        if (self.lake is None) == (self.catalog is None):
            found = "neither" if self.lake is None else "both"
            raise SettingsError(f"{found} of --lake URI and --catalog NAME given; give one of them.")
        if self.catalog is not None and not re.fullmatch(r"\w+(\.\w+)?", self.catalog):
            raise SettingsError(f"catalog={self.catalog!r} is not a name such as main.parsely; write catalog.schema.")
        if self.lake is not None:
            check_uri("lake", self.lake)
            path = local_path(self.lake)
            if path is not None and path.exists() and not path.is_dir():
                raise SettingsError(f"lake={self.lake} is a file; the tables want a folder, which may be new.")

    @property
    def place(self) -> str:
        """The folder or the catalog schema, whichever was given; a local folder as an absolute path."""
        return self.catalog or absolute(str(self.lake))


@dataclass(frozen=True, kw_only=True)
class BatchSettings(LakeSettings):
    """What one run of ``batch`` reads and writes."""

    source: tuple[str, ...] = setting(
        "the events/ prefix of the raw events or the bucket above it: a local path, s3a:// or s3://; repeatable",
        default=(),
        metavar="URI",
    )
    json: bool = setting("print the run's summary as one line of JSON on standard output", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.source:
            raise SettingsError("no --source given; give the events/ prefix or the bucket above it.")
        for source in self.source:
            check_uri("source", source)
            check_local_source(source)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, local ones as absolute paths."""
        return tuple(absolute(source) for source in self.source)


@dataclass(frozen=True, kw_only=True)
class GenerateSettings:
    """What ``generate`` makes."""

    out: str = setting("new folder for the bucket", metavar="DIR")
    events: int = setting("distinct events, at least 1", default=100_000, metavar="N")
    hours: int = setting("hours that the events span, at least 1", default=24, metavar="H")
    seed: int = setting("the same seed gives the same bytes", default=1, metavar="S")
    json: bool = setting("print what was made as one line of JSON on standard output", default=False)

    def __post_init__(self) -> None:
        for name, value in (("events", self.events), ("hours", self.hours)):
            if value < 1:
                raise SettingsError(f"{name}={value} is less than 1; give a whole number of 1 or more.")


@dataclass(frozen=True, kw_only=True)
class DemoSettings(SparkSettings):
    """What ``demo`` makes and where."""

    out: str = setting("folder for the demo's bucket and lake; made anew", default=".demo", metavar="DIR")
    events: int = setting("distinct events, at least 1", default=100_000, metavar="N")
    hours: int = setting("hours that the events span, at least 1", default=24, metavar="H")
    seed: int = setting("the same seed gives the same bytes", default=1, metavar="S")


COMMANDS = {"batch": BatchSettings, "generate": GenerateSettings, "demo": DemoSettings}
