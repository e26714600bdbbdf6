"""What a run is told, checked once, before Spark starts.

Each command has a frozen dataclass. Its fields are the one declaration of a setting: the flag, the environment
variable, the key in the file, the help text, `docs/settings.md` and `conf/parsely.toml` come from it. What a
command shares with others stands in a base class.
"""

from __future__ import annotations

# over 300 lines: one class for each command, and a command more is a class more
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from parsely_spark.declaration import Settings, between, borrowed, check_share, declared, one_of, setting
from parsely_spark.errors import SettingsError
from parsely_spark.extra_fields import ExtraFieldSettings
from parsely_spark.hours import check_date, check_hour, date_of, folder_of
from parsely_spark.kinesis_settings import FollowSettings
from parsely_spark.places import (
    absolute,
    check_catalog,
    check_endpoint,
    check_folder,
    check_local_folder,
    check_new_bucket,
    check_new_file,
    check_raw_events,
    check_uri,
    is_csv,
    is_within,
)
from parsely_spark.privacy_settings import PrivacySettings
from parsely_spark.reporting import MOST_SITES, AudienceSettings, DepthSettings, ReportingSettings, check_period

if TYPE_CHECKING:
    from datetime import date

PARTITIONS = ("hour", "date")
LEAST_KEPT_DAYS, MOST_KEPT_DAYS = 8, 36_500  # events of apps may be a week late


@dataclass(frozen=True, kw_only=True)
class SparkSettings(Settings):
    """How the session is made where the program makes it itself (a laptop, spark-submit)."""

    s3_endpoint_url: str | None = setting(
        "S3 server other than AWS, reached by path-style requests; AWS_ENDPOINT_URL_S3 serves too",
        default=None,
        metavar="URL",
        example="http://localhost:9000",
        check=check_endpoint,
    )
    class_archives: str | None = setting(
        "folder in which a local run keeps what Java has loaded, 200 MB in some 10 s at its end, so that later ones "
        "start some seconds sooner; none by default",
        default=None,
        metavar="FOLDER",
        example=".class_archives",
        check=check_local_folder,
    )
    verbose: bool = setting("show Spark's own log", default=False)
    # Of the settings file only: its table [spark], for credentials per bucket and whatever else Spark knows.
    spark: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, kw_only=True)
class PlaceSettings(SparkSettings):
    """Where the tables are, if that is told."""

    lake: str | None = setting(
        "folder of the tables: a local path, s3a:// or s3://",
        default=None,
        metavar="URI",
        example="s3a://example-lake/parsely",
        check=check_folder,
        instead_of="catalog",
    )
    catalog: str | None = setting(
        "catalog schema of the tables, instead of a folder",
        default=None,
        metavar="NAME",
        example="main.parsely",
        check=check_catalog,
        instead_of="lake",
    )

    turns: bool = setting(
        "take turns with other runs that write to the same tables on S3, by an object beside them; off where another "
        "log store keeps writers apart",
        default=True,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lake is not None and self.catalog is not None:
            raise SettingsError("both of --lake URI and --catalog NAME given; give one of them.")


@dataclass(frozen=True, kw_only=True)
class LakeSettings(PlaceSettings):
    """Where the tables are."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lake is None and self.catalog is None:
            raise SettingsError("neither of --lake URI and --catalog NAME given; give one of them.")

    @property
    def place(self) -> str:
        """The folder or the catalog schema, whichever was given; a local folder as an absolute path."""
        return self.catalog or absolute(str(self.lake))


@dataclass(frozen=True, kw_only=True)
class SummarySettings(Settings):
    """What is told at the end."""

    json: bool = setting("print the summary as one line of JSON on standard output", default=False)


@dataclass(frozen=True, kw_only=True)
class TablesSettings(LakeSettings, DepthSettings):
    """Which derived tables, and what some of their columns go by."""

    tables: str | None = setting(
        "derived tables, separated by commas; all of them by default",
        default=None,
        metavar="A,B",
        example="sessions,pageviews",
    )

    @property
    def names(self) -> tuple[str, ...]:
        """The tables; none means all."""
        return tuple(name.strip() for name in self.tables.split(",")) if self.tables else ()


@dataclass(frozen=True, kw_only=True)
class LayoutSettings(Settings):
    """How the tables of a new lake are laid out."""

    partition: str | None = setting(
        "what a partition of a new lake is: an hour, or a date where a site has fewer than some 10,000 events a day; "
        "a lake that is there stays as it is, by default also a new one's is hour",
        default=None,
        metavar="UNIT",
        example="date",
        check=one_of(*PARTITIONS),
    )


@dataclass(frozen=True, kw_only=True)
class BatchSettings(TablesSettings, SummarySettings, PrivacySettings, ExtraFieldSettings, LayoutSettings):
    """What one run of ``batch`` reads and writes."""

    source: tuple[str, ...] = setting(
        "the events/ prefix of the raw events or the bucket above it, or a *.csv file such as Parse.ly's sample: a "
        "local path, s3a:// or s3://; repeatable",
        metavar="URI",
        example=("s3a://parsely-dw-example-com/events",),
        check=check_raw_events,
    )
    from_: str | None = setting(
        "first hour of the folders to read, UTC",
        default=None,
        metavar="YYYY-MM-DD[THH]",
        example="2026-01-14",
        check=check_hour,
    )
    until: str | None = setting(
        "first hour not to read any more, UTC",
        default=None,
        metavar="YYYY-MM-DD[THH]",
        example="2026-01-15T06",
        check=check_hour,
    )
    slice_mib: int = setting(
        "MiB of compressed objects that are read before what was read is committed; more on a large cluster",
        default=256,
        metavar="N",
        check=between(1),
    )
    slice_files: int = setting("objects, likewise", default=5000, metavar="N", check=between(1))
    file_hours: int = setting(
        "different hours that the events of one object may be of; an object of more is left out",
        default=1000,
        metavar="N",
        check=between(1),
    )
    retry: bool = setting("take the objects again that earlier runs left out", default=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.begin and self.end and self.begin >= self.end:
            raise SettingsError(f"from={self.from_!r} is not before until={self.until!r}; no hour lies between them.")
        if (self.begin or self.end) and (file := next(filter(is_csv, self.source), None)):
            raise SettingsError(f"from or until given with source={file!r}, which has no hours; leave one of them out.")
        for source in self.source if self.lake else ():
            # Raw events at <lake>/events would lie in the table `events`, whose upkeep deletes what is not its own.
            if is_within(f"{source}/events", f"{self.lake}/events"):
                raise SettingsError(
                    f"source={source!r} and the table events would share a folder in lake={self.lake!r}; "
                    "give the lake a folder of its own."
                )

    @property
    def begin(self) -> str | None:
        """The first hour, as the folders of raw events have it."""
        return folder_of(self.from_)

    @property
    def end(self) -> str | None:
        """The first hour that is left out, likewise."""
        return folder_of(self.until)

    @property
    def sources(self) -> tuple[str, ...]:
        """The sources, local ones as absolute paths."""
        return tuple(absolute(source) for source in self.source)


@dataclass(frozen=True, kw_only=True)
class StreamSettings(
    TablesSettings, SummarySettings, PrivacySettings, ExtraFieldSettings, LayoutSettings, FollowSettings
):
    """What ``stream`` reads and writes."""


@dataclass(frozen=True, kw_only=True)
class RebuildSettings(TablesSettings, SummarySettings):
    """Which tables ``rebuild`` makes again."""


@dataclass(frozen=True, kw_only=True)
class VerifySettings(TablesSettings, SummarySettings):
    """How much ``verify`` looks at."""

    sample: str = setting(
        "share of the rows to look at, chosen by their keys", default="1", metavar="0..1", check=check_share
    )


def check_keep_days(where: str, text: str) -> None:
    """Refuse what is no table with a number of days."""
    table, _, days = text.partition(":")
    if not table or not days.isdecimal():
        raise SettingsError(f"{where}={text!r} is no table with its days; write it as events:90.")
    between(LEAST_KEPT_DAYS, MOST_KEPT_DAYS)(f"{where} {table}", int(days))


@dataclass(frozen=True, kw_only=True)
class MaintainSettings(LakeSettings, SummarySettings):
    """What ``maintain`` does."""

    optimize: bool | None = setting(
        "put the small files of closed hours together; with --vacuum alone it is left out", default=None, example=True
    )
    vacuum: bool | None = setting(
        "delete files that are no longer part of a table; with --optimize alone it is left out",
        default=None,
        example=True,
    )
    retain_days: int = setting(
        "days for which those files stay at least, for readers and time travel",
        default=7,
        metavar="N",
        check=between(1, 3650),
    )
    open_hours: int = setting(
        "hours, before the newest of a table, that are left to its writers", default=48, metavar="N", check=between(1)
    )
    run_days: int = setting(
        "days for which the rows that a stream notes each minute stay; then they are one for each day",
        default=90,
        metavar="N",
        check=between(31, 3650),
    )
    ledger_days: int | None = setting(
        "days for which the bucket of the raw events keeps its objects: what was read of older ones is no longer "
        "remembered object by object; by default it is, for ever",
        default=None,
        metavar="N",
        example=400,
        check=between(31, 3650),
    )

    keep_days: tuple[str, ...] = setting(
        "how many days of a table are kept, by the date of its partitions: events, rejected_lines, or a derived table "
        "with a date; older rows are deleted, and events of such days are not taken in any more; repeatable",
        default=(),
        metavar="TABLE:N",
        example=("events:90", "rejected_lines:30"),
        check=check_keep_days,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.kept) < len(self.keep_days):
            raise SettingsError(f"keep_days={list(self.keep_days)} names a table twice; give each once.")
        for table in ("pageviews", "videoviews"):
            if self.kept.get(table, MOST_KEPT_DAYS + 1) > self.kept.get("sessions", MOST_KEPT_DAYS + 1):
                raise SettingsError(
                    f"keep_days={list(self.keep_days)}: rows of {table} follow those of sessions; keep them no longer."
                )

    @property
    def kept(self) -> dict[str, int]:
        """How many days of which table are kept."""
        return {table: int(days) for table, _, days in (text.partition(":") for text in self.keep_days)}

    @property
    def optimizes(self) -> bool:
        """Whether to put files together: where neither is said, both are done."""
        return not self.vacuum if self.optimize is None else self.optimize

    @property
    def vacuums(self) -> bool:
        """Whether to delete files, likewise."""
        return not self.optimize if self.vacuum is None else self.vacuum


@dataclass(frozen=True, kw_only=True)
class MigrateSettings(TablesSettings, SummarySettings, ExtraFieldSettings):
    """What ``migrate`` adds to a lake."""

    dry_run: bool = setting("show what would be done, and do nothing", default=False)


@dataclass(frozen=True, kw_only=True)
class ForgetSettings(LakeSettings, DepthSettings, SummarySettings):
    """Whom ``forget`` forgets."""

    visitor: tuple[str, ...] = setting(
        "visitor_site_id of who is to be forgotten; repeatable. The list of processes shows it, unlike a file",
        default=(),
        metavar="ID",
        example=("pid=0123456789abcdef",),
    )
    visitors_from: str | None = setting(
        "file with one visitor_site_id a line", default=None, metavar="FILE", example="visitors.txt"
    )
    apikey: str | None = setting(
        "the one site on which they are forgotten; all by default", default=None, metavar="SITE", example="example.com"
    )
    retain_days: int = setting(
        "days for which files stay at least that are no longer part of a table, for readers and time travel",
        default=7,
        metavar="N",
        check=between(0, 3650),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.visitor and self.visitors_from is None:
            raise SettingsError("neither of --visitor ID and --visitors-from FILE given; say who is to be forgotten.")


@dataclass(frozen=True, kw_only=True)
class StatusSettings(LakeSettings, SummarySettings):
    """Which lake ``status`` looks at."""


@dataclass(frozen=True, kw_only=True)
class RegisterSettings(LakeSettings, ReportingSettings):
    """What ``register`` puts into a catalog, and where."""

    schema: str | None = setting(
        "schema for the tables and views of a lake that is a folder; those of a catalog stay in theirs",
        default=None,
        metavar="NAME",
        example="analytics",
        check=check_catalog,
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lake is not None and self.schema is None:
            raise SettingsError("--lake URI given alone; say with --schema NAME where its tables and views shall be.")
        if self.lake is None and self.schema is not None:
            raise SettingsError(
                f"schema={self.schema!r} beside a catalog, whose views stay with its tables; leave it out."
            )


@dataclass(frozen=True, kw_only=True)
class ReportSettings(LakeSettings, AudienceSettings, SummarySettings):
    """What ``report`` is about, and where it goes."""

    out: str = setting(
        "HTML file to write on this machine",
        default="parsely-report.html",
        metavar="FILE",
        check=check_new_file,
    )
    from_: str | None = setting(
        "first date of the report, in its time zone; by default four weeks before until, or that of the first event",
        default=None,
        metavar="YYYY-MM-DD",
        example="2026-01-01",
        check=check_date,
    )
    until: str | None = setting(
        "first date that does not count any more; by default that after the newest event",
        default=None,
        metavar="YYYY-MM-DD",
        example="2026-02-01",
        check=check_date,
    )
    apikey: tuple[str, ...] = setting(
        "a site that the report is about; repeatable; by default those with the most events",
        default=(),
        metavar="SITE",
        example=("example.com",),
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.since and self.end:
            check_period(self.since, self.end)
        if len(self.apikey) > MOST_SITES:
            raise SettingsError(f"{len(self.apikey)} sites are given; a report is about {MOST_SITES} at most.")

    @property
    def since(self) -> date | None:
        """The first date."""
        return date_of(self.from_)

    @property
    def end(self) -> date | None:
        """The first date that does not count any more."""
        return date_of(self.until)

    @property
    def reporting(self) -> ReportingSettings:
        """What its views go by."""
        return ReportingSettings(**{name: getattr(self, name) for name in declared(AudienceSettings)})


@dataclass(frozen=True, kw_only=True)
class MadeUpSettings(Settings):
    """How many events are made up."""

    events: int = setting(
        "distinct events, 1 to a thousand million", default=100_000, metavar="N", check=between(1, 10**9)
    )
    hours: int = setting(
        "hours that the events span, 1 to 8784 (a year)", default=24, metavar="H", check=between(1, 8784)
    )
    seed: int = setting("the same seed gives the same bytes", default=1, metavar="S")


@dataclass(frozen=True, kw_only=True)
class GenerateSettings(MadeUpSettings, SummarySettings):
    """What ``generate`` makes."""

    out: str = setting("new folder for the bucket", metavar="DIR", example="bucket", check=check_new_bucket)


@dataclass(frozen=True, kw_only=True)
class DemoSettings(MadeUpSettings, SparkSettings):
    """What ``demo`` makes and where."""

    events: int = setting(
        "distinct events, 1 to a thousand million", default=50_000, metavar="N", check=between(1, 10**9)
    )
    out: str = setting(
        "folder for the demo's bucket and lake; made anew",
        default=".demo",
        metavar="DIR",
        check=check_local_folder,
    )


@dataclass(frozen=True, kw_only=True)
class DoctorSettings(PlaceSettings, SummarySettings):
    """What ``doctor`` looks at; what is not given is not looked at."""

    # What is wrong with one of these is a finding, so that less of it is refused here.
    source: tuple[str, ...] = borrowed(BatchSettings, "source", table="batch", check=check_uri)
    stream: str | None = borrowed(StreamSettings, "stream", table="stream")
    region: str | None = borrowed(StreamSettings, "region", table="stream")
    endpoint_url: str | None = borrowed(StreamSettings, "endpoint_url", table="stream")
    role_arn: str | None = borrowed(StreamSettings, "role_arn", table="stream")
    checkpoint: str | None = borrowed(StreamSettings, "checkpoint", table="stream")
    reader: str = borrowed(StreamSettings, "reader", table="stream")


COMMANDS: dict[str, type[Settings]] = {
    "batch": BatchSettings,
    "stream": StreamSettings,
    "rebuild": RebuildSettings,
    "verify": VerifySettings,
    "status": StatusSettings,
    "maintain": MaintainSettings,
    "migrate": MigrateSettings,
    "forget": ForgetSettings,
    "register": RegisterSettings,
    "report": ReportSettings,
    "generate": GenerateSettings,
    "demo": DemoSettings,
    "doctor": DoctorSettings,
}
