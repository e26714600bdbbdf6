"""Claims about settings: which place wins, what is refused and in which words, the generated pages."""

from __future__ import annotations

import os
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from parsely_spark.config import load, variable_of
from parsely_spark.declaration import declared, type_of
from parsely_spark.errors import SettingsError
from parsely_spark.places import absolute, is_within, local_path, scheme_of
from parsely_spark.settings import (
    COMMANDS,
    BatchSettings,
    DemoSettings,
    DoctorSettings,
    GenerateSettings,
    RegisterSettings,
    SparkSettings,
    VerifySettings,
)
from parsely_spark.testing.generate import generate
from tools import docs

ROOT = Path(__file__).resolve().parent.parent
SOURCE = "s3a://parsely-dw-example-com/events"
KEYS = {"PARSELY_ACCESS_KEY_ID": "AKIAEXAMPLE", "PARSELY_SECRET_ACCESS_KEY": "not+a/secret"}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder, new and empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def loaded(command: str, toml: str | None = None, environment: dict[str, str] | None = None, **flags: Any) -> Any:
    """The settings of *command* from a file `f.toml` in the working folder, an environment and flags."""
    if toml is not None:
        Path("f.toml").write_text(toml, encoding="utf-8")
    config = None if toml is None else "f.toml"
    return load(COMMANDS[command], flags, command=command, config=config, environment=environment or {})


def refusal(command: str, toml: str | None = None, environment: dict[str, str] | None = None, **flags: Any) -> str:
    """What is said of settings that are refused: one sentence."""
    with pytest.raises(SettingsError) as refused:
        loaded(command, toml, environment, **flags)
    said = str(refused.value)
    assert said.endswith(".")
    assert "\n" not in said
    return said


# Which place wins


def test_a_flag_wins_over_a_variable_and_that_over_the_file_and_that_over_the_default(here: Path):
    file, variable = "seed = 2", {"PARSELY_SPARK_SEED": "3"}
    assert loaded("generate", out="b").seed == 1
    assert loaded("generate", file, out="b").seed == 2
    assert loaded("generate", file, variable, out="b").seed == 3
    assert loaded("generate", file, variable, out="b", seed="4").seed == 4


def test_in_the_file_a_commands_table_wins_over_what_serves_all(here: Path):
    file = "seed = 2\n[generate]\nseed = 3\n[demo]\nseed = 4"
    assert loaded("generate", file, out="b").seed == 3
    assert loaded("demo", file).seed == 4


def test_a_switch_can_be_taken_back(here: Path):
    assert loaded("generate", "json = true", out="b").json is True
    assert loaded("generate", "json = true", {"PARSELY_SPARK_JSON": "no"}, out="b").json is False
    assert loaded("generate", "json = true", out="b", json=False).json is False


def test_what_another_command_is_told_is_left_alone(here: Path):
    file = 'lake = "s3a://b/lake"\ncatalog = "a.b"\n[batch]\nsource = "/not/there"'
    assert loaded("generate", file, {"PARSELY_SPARK_LAKE": ""}, out="b").out == "b"


def test_a_catalog_in_a_stronger_place_takes_the_place_of_a_lake(here: Path):
    batch = loaded("batch", 'lake = "s3a://b/lake"', source=[SOURCE], catalog="main.parsely")
    assert (batch.lake, batch.place) == (None, "main.parsely")
    batch = loaded("batch", 'catalog = "main.parsely"', {"PARSELY_SPARK_LAKE": "s3a://b/lake"}, source=[SOURCE])
    assert (batch.catalog, batch.place) == (None, "s3a://b/lake")


@pytest.mark.parametrize(
    ("toml", "environment", "flags", "said"),
    [
        (None, {}, {"lake": "x", "catalog": "a.b"}, "both --lake and --catalog are given"),
        (
            None,
            {"PARSELY_SPARK_LAKE": "x", "PARSELY_SPARK_CATALOG": "a.b"},
            {},
            "both PARSELY_SPARK_LAKE and PARSELY_SPARK_CATALOG are given",
        ),
        ('lake = "x"\ncatalog = "a.b"', {}, {}, "both f.toml: lake and f.toml: catalog are given"),
        (None, {}, {}, "neither of --lake URI and --catalog NAME given"),
    ],
)
def test_one_place_gives_a_lake_or_a_catalog(here: Path, toml: str, environment: Any, flags: Any, said: str):
    assert refusal("batch", toml, environment, source=[SOURCE], **flags) == f"{said}; give one of them."


def test_a_repeatable_setting_is_a_text_or_a_list_in_the_file_and_a_text_in_a_variable(here: Path):
    other = "s3a://parsely-dw-other/events"
    assert loaded("batch", f'source = "{SOURCE}"', catalog="a.b").source == (SOURCE,)
    assert loaded("batch", f'source = ["{SOURCE}", "{other}"]', catalog="a.b").source == (SOURCE, other)
    assert loaded("batch", None, {"PARSELY_SPARK_SOURCE": other}, catalog="a.b").source == (other,)


def test_a_tilde_is_ones_home_wherever_it_comes_from(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(here))
    (here / "events/2026/01/14").mkdir(parents=True)
    batch = loaded("batch", 'source = ["~/events"]', {"PARSELY_SPARK_LAKE": "~/lake"})
    assert (batch.sources, batch.place) == ((f"file:{here}/events",), f"file:{here}/lake")
    assert loaded("demo", out="~/demo").out == str(here / "demo")


# What is refused, whichever place it comes from


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ("sorce = 1", "f.toml: sorce is no setting (did you mean source?); docs/settings.md lists them all."),
        ("[bacth]\nlake = 1", "f.toml: bacth is no setting (did you mean batch?); docs/settings.md lists them all."),
        ("[batch]\nxyz = 1", "f.toml: batch.xyz is no setting; docs/settings.md lists them all."),
        (
            "[batch]\ns3-endpoint-url = 1",
            "f.toml: batch.s3-endpoint-url is no setting (did you mean s3_endpoint_url?); "
            "docs/settings.md lists them all.",
        ),
        ("[demo]\nsource = 1", "f.toml: demo.source is no setting; docs/settings.md lists them all."),
        ("batch = 5", "f.toml: batch is 5, but a table [batch] is wanted."),
        ("spark = 5", "f.toml: spark is 5, but a table [spark] is wanted."),
        ("[lake]\na = 1", "f.toml: lake is {'a': 1}, but a text is wanted."),
        ("seed = true", "f.toml: seed is True, but a whole number is wanted."),
        ("hours = 1.0", "f.toml: hours is 1.0, but a whole number is wanted."),
        ("verbose = 1", "f.toml: verbose is 1, but true or false is wanted."),
        ("[batch]\nsource = [1]", "f.toml: batch.source is [1], but a text or a list of texts is wanted."),
        ("[batch]\nsource = []", "f.toml: batch.source is empty; give at least one value."),
        (
            '[batch]\nlake = " s3a://b"',
            "f.toml: batch.lake=' s3a://b' is empty or has white space around it; write the value alone.",
        ),
        (
            "seed = 1\nhours = x",
            "--config f.toml is not TOML: Invalid value (at line 2, column 9); mend it there.",
        ),
    ],
)
def test_a_wrong_file_is_named_with_the_key_and_what_is_wanted(here: Path, toml: str, said: str):
    assert refusal("batch", toml, source=[SOURCE] if "source" not in toml else None, catalog=None) == said


def test_a_wrong_key_of_another_commands_table_is_refused_as_well(here: Path):
    assert refusal("demo", "[generate]\nseeed = 1").startswith(
        "f.toml: generate.seeed is no setting (did you mean seed?)"
    )


def test_a_file_that_cannot_be_read_is_named(here: Path):
    Path("latin").write_bytes(b'# \xe9\nlake = "x"')
    Path("folder").mkdir()
    for config, said in {
        "gone.toml": "--config gone.toml does not exist; conf/parsely.toml is an example.",
        "folder": "--config folder cannot be read (Is a directory); name a TOML file.",
        "latin": "--config latin is not UTF-8 at byte 2; save it as UTF-8.",
        "s3://b/parsely.toml": "--config s3://b/parsely.toml is not on this machine, where it is read before Spark "
        "starts; hand it over with `spark-submit --files` and name it without its folder.",
    }.items():
        with pytest.raises(SettingsError) as refused:
            load(DemoSettings, {}, command="demo", config=config, environment={})
        assert str(refused.value) == said


def test_a_file_may_begin_with_the_mark_that_some_editors_write(here: Path):
    Path("marked.toml").write_text("seed = 7", encoding="utf-8-sig")
    assert load(DemoSettings, {}, command="demo", config="marked.toml", environment={}).seed == 7


@pytest.mark.parametrize(
    ("variable", "value", "said"),
    [
        ("PARSELY_SPARK_EVENTS", "many", "PARSELY_SPARK_EVENTS='many' is not a whole number; write up to 18 digits."),
        (
            "PARSELY_SPARK_EVENTS",
            "9" * 19,
            f"PARSELY_SPARK_EVENTS={'9' * 19!r} is not a whole number; write up to 18 digits.",
        ),
        ("PARSELY_SPARK_EVENTS", "-5", "PARSELY_SPARK_EVENTS=-5 is less than 1; give a whole number of 1 or more."),
        ("PARSELY_SPARK_HOURS", "9000", "PARSELY_SPARK_HOURS=9000 is more than 8784; give a whole number up to that."),
        ("PARSELY_SPARK_JSON", "maybe", "PARSELY_SPARK_JSON='maybe' is neither true nor false; write one of them."),
        ("PARSELY_SPARK_JSON", "", "PARSELY_SPARK_JSON='' is neither true nor false; write one of them."),
        ("PARSELY_SPARK_OUT", "", "PARSELY_SPARK_OUT='' is empty or has white space around it; write the value alone."),
        (
            "PARSELY_SPARK_SEEED",
            "1",
            "PARSELY_SPARK_SEEED is no setting (did you mean PARSELY_SPARK_SEED?); rename or unset it.",
        ),
    ],
)
def test_a_wrong_variable_is_named(variable: str, value: str, said: str):
    assert refusal("generate", None, {"PARSELY_SPARK_OUT": "b", variable: value}) == said


def test_variables_that_kubernetes_makes_for_a_service_are_left_alone():
    service = ("SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTP", "PORT", "PORT_80_TCP", "PORT_80_TCP_ADDR")
    assert loaded("demo", None, {f"PARSELY_SPARK_{name}": "10.0.0.1" for name in service}) == DemoSettings()


def test_a_wrong_value_that_a_stronger_place_replaces_does_no_harm(here: Path):
    assert loaded("demo", "hours = 0", hours="3").hours == 3


def test_settings_made_in_code_are_checked_like_any_other():
    with pytest.raises(SettingsError, match=r"^events=0 is less than 1"):
        GenerateSettings(out="b", events=0)
    with pytest.raises(SettingsError, match=r"^hours=0 is less than 1"):
        DemoSettings(hours=0)
    with pytest.raises(SettingsError, match=r"^source is empty"):
        BatchSettings(source=(), catalog="a.b")
    with pytest.raises(SettingsError, match=r"^both of --lake URI and --catalog NAME given"):
        BatchSettings(source=(SOURCE,), lake="x", catalog="a.b")


@pytest.mark.parametrize(
    "url", ["localhost:9000", "http://", "http://host/path", "http://a@host", "http://h h", "ftp://h"]
)
def test_an_endpoint_is_the_address_of_a_server(url: str):
    assert refusal("demo", s3_endpoint_url=url) == (
        f"--s3-endpoint-url={url!r} is not the address of a server; write http://host:port or https://host."
    )


@pytest.mark.parametrize("name", ["a.b.c", "my-catalog.parsely", "a.", "a b"])
def test_a_catalog_is_a_name_that_needs_no_quotes(name: str):
    said = f"--catalog={name!r} is not a name such as main.parsely; write catalog.schema."
    assert refusal("batch", source=[SOURCE], catalog=name) == said


# Places


@pytest.mark.parametrize(
    ("uri", "scheme", "local"),
    [
        ("a/b", "", "a/b"),
        ("/a:b", "", "/a:b"),
        ("file:///a", "file", "/a"),
        ("FILE:/a", "file", "/a"),
        ("file:a", "file", "a"),
        ("S3A://b/p", "s3a", None),
        ("dbfs:/v", "dbfs", None),
        ("s3a:b", "s3a", None),
    ],
)
def test_a_uri_is_read_as_hadoop_reads_it(uri: str, scheme: str, local: str | None):
    assert scheme_of(uri) == scheme
    assert local_path(uri) == (None if local is None else Path(local))


def test_only_a_local_path_is_made_absolute(here: Path):
    assert [absolute(uri) for uri in ("a", "file:/b", "s3a://b/p")] == [f"file:{here}/a", "file:/b", "s3a://b/p"]


def test_a_place_lies_in_another_however_it_is_written(here: Path):
    (here / "link").symlink_to(here / "bucket")
    assert is_within("link/events", "bucket/")
    assert is_within("file://" + str(here / "bucket"), "./bucket")
    assert is_within("s3://b/p/events", "s3a://b/p")
    assert not is_within("bucket2", "bucket")
    assert not is_within("s3a://b", "s3a://b/p")


@pytest.mark.parametrize(
    ("lake", "said"),
    [
        ("ftp://x/y", "--lake='ftp://x/y' has the unknown scheme ftp:; write a local path, s3a:// or s3://."),
        ("s3a://", "--lake='s3a://' names no bucket; write s3a://bucket/prefix."),
        ("s3:bucket/x", "--lake='s3:bucket/x' names no bucket; write s3://bucket/prefix."),
        ("S3A:/b", "--lake='S3A:/b' names no bucket; write s3a://bucket/prefix."),
        ("file", "--lake='file' is a file; name a folder, which may be new."),
        ("file/a/b", "--lake='file/a/b' lies below {here}/file, which is a file; name a folder, which may be new."),
        ("a`b", "--lake='a`b' has a ` in it, which Spark does not take in a table's name; rename it."),
        ("", "--lake='' is empty or has white space around it; write the value alone."),
    ],
)
def test_a_lake_is_a_folder_or_can_become_one(here: Path, lake: str, said: str):
    (here / "file").touch()
    assert refusal("batch", source=[SOURCE], lake=lake) == said.format(here=here)


def test_keys_in_a_uri_are_refused_and_not_repeated():
    said = refusal("batch", source=[SOURCE], lake="s3a://AKIA:secret@bucket/lake")
    assert said == "--lake has keys in its URI, which end up in logs; give them as other AWS tools have them."


@pytest.mark.parametrize("lake", ["new", "a/b/new", "folder", "s3a://b", "s3://b/p", "file:///tmp/x", "hdfs://n/p"])
def test_a_lake_may_be_new(here: Path, lake: str):
    (here / "folder").mkdir()
    assert loaded("batch", source=[SOURCE], lake=lake).lake == lake


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("gone", "does not exist"),
        ("file", "is a file and no *.csv"),
        ("file/below", "does not exist"),
        ("empty", "has no YYYY/MM/DD folders"),
        ("months/events", "has no YYYY/MM/DD folders"),
        ("files", "has no YYYY/MM/DD folders"),
        ("flat", "has no YYYY/MM/DD folders"),
    ],
)
def test_a_local_source_has_the_folder_of_a_day(here: Path, source: str, found: str):
    (here / "file").touch()
    for folder in ("empty", "months/events/2026/01", "files/2026/01", "flat/2026-01-14"):
        (here / folder).mkdir(parents=True)
    (here / "files/2026/01/14").touch()
    assert refusal("batch", source=[source], lake="lake") == (
        f"--source={source!r} {found}; give the events/ prefix of the raw events or the folder above it."
    )


@pytest.mark.parametrize(
    "source", ["raw", "raw/events", "raw/events/2026", "raw/events/2026/01/14", "raw/events/2026/01/14/12", "old"]
)
def test_a_source_is_the_prefix_of_raw_events_or_above_or_below_it(here: Path, source: str):
    for folder in ("raw/events/2025/12", "raw/events/2026/01/14/12", "old/2026/01/14"):
        (here / folder).mkdir(parents=True)
    assert loaded("batch", source=[source], lake="lake").sources == (f"file:{here / source}",)


def test_looking_for_a_day_opens_only_the_folders_that_can_lead_to_one(here: Path, monkeypatch: pytest.MonkeyPatch):
    for folder in ("raw/events/2026/01/14/12", "raw/logs/2026", "raw/events/tmp"):
        (here / folder).mkdir(parents=True)
    opened = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: opened.append(str(path)) or scandir(path))
    BatchSettings(source=("raw",), lake="lake")
    assert opened == [str(here / folder) for folder in ("raw", "raw/events", "raw/events/2026", "raw/events/2026/01")]


def test_a_source_that_may_not_be_listed_is_named(here: Path, monkeypatch: pytest.MonkeyPatch):
    (here / "raw").mkdir()

    def denied(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr("os.scandir", denied)  # to root, which CI may be, nothing is denied
    assert refusal("batch", source=["raw"], lake="lake").startswith(
        "--source='raw' cannot be listed (Permission denied);"
    )


@pytest.mark.parametrize(("source", "lake"), [("raw/events", "raw"), ("raw", "raw"), ("raw", "./raw/")])
def test_raw_events_do_not_lie_in_the_table_of_events(here: Path, source: str, lake: str):
    (here / "raw/events/2026/01/14").mkdir(parents=True)
    assert refusal("batch", source=[source], lake=lake) == (
        f"source={source!r} and the table events would share a folder in lake={lake!r}; "
        "give the lake a folder of its own."
    )
    assert refusal("batch", source=["s3://b/events"], lake="s3a://b").startswith("source='s3://b/events' and the table")


def test_raw_events_and_a_lake_may_share_a_bucket(here: Path):
    (here / "raw/events/2026/01/14").mkdir(parents=True)
    assert loaded("batch", source=["raw"], lake="raw/lake").lake == "raw/lake"
    assert loaded("batch", source=["s3a://b/raw/events"], lake="s3a://b").lake == "s3a://b"


@pytest.mark.parametrize(
    ("out", "said"),
    [
        ("s3a://b/p", "is a URI, but this is written to the machine at hand; name a local folder."),
        ("file", "is a file; name a folder, which may be new."),
        ("file/below", "lies below {here}/file, which is a file; name a folder, which may be new."),
    ],
)
@pytest.mark.parametrize("command", ["generate", "demo"])
def test_made_up_events_go_to_a_local_folder(here: Path, command: str, out: str, said: str):
    (here / "file").touch()
    assert refusal(command, out=out) == f"--out={out!r} {said.format(here=here)}"


def test_made_up_events_go_where_one_may_write(here: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert refusal("generate", out="a/b") == "--out='a/b' cannot be written; name a folder that you may write to."


@pytest.mark.parametrize("there", ["", "bucket", "bucket/events", "bucket/events/2026", "bucket/other/2026"])
def test_generate_refuses_exactly_the_folders_in_which_it_would_mix_events(here: Path, there: str):
    (here / there).mkdir(parents=True, exist_ok=True)
    if there == "bucket/events/2026":
        assert refusal("generate", out="bucket") == (
            "--out='bucket' has raw events in it already; name a new folder or delete it."
        )
        with pytest.raises(ValueError, match="not empty"):
            generate("bucket", events=1, hours=1, seed=1)
    else:
        assert loaded("generate", out="bucket").out == "bucket"
        assert generate("bucket", events=1, hours=1, seed=1).events == 1


# Settings of Spark


def test_settings_of_spark_keep_their_names_with_and_without_quotes(here: Path):
    toml = """
        [spark]
        spark.sql.shuffle.partitions = 64
        spark.ui.enabled = false
        "spark.hadoop.fs.s3a.endpoint" = "h"
        spark.memory.fraction = 0.5
    """
    assert dict(loaded("demo", toml).spark) == {
        "spark.sql.shuffle.partitions": "64",
        "spark.ui.enabled": "false",
        "spark.hadoop.fs.s3a.endpoint": "h",
        "spark.memory.fraction": "0.5",
    }


def test_a_secret_comes_from_the_environment_and_is_never_shown(here: Path):
    toml = '[spark]\nspark.k = "<${env:SECRET}>"'
    demo = loaded("demo", toml, {"SECRET": "hush"})
    assert demo.spark == (("spark.k", "<hush>"),)
    assert "hush" not in repr(demo)
    for environment in ({}, {"SECRET": ""}):
        assert refusal("demo", toml, environment) == (
            "f.toml: [spark] spark.k wants the environment variable SECRET, which is not set; export it."
        )


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        (
            'fs.s3a.access.key = "hush"',
            "fs.s3a.access.key is no setting of Spark; its names begin with spark., Hadoop's with spark.hadoop.",
        ),
        ('spark.k = ["hush"]', "spark.k is a list; write a text, a number, true or false."),
        ("spark.k = 2026-01-14", "spark.k is a date; write a text, a number, true or false."),
    ],
)
def test_what_spark_would_not_understand_is_refused_without_its_value(here: Path, entry: str, said: str):
    assert refusal("demo", f"[spark]\n{entry}") == f"f.toml: [spark] {said}"


def test_a_command_without_spark_asks_for_no_secret(here: Path):
    assert loaded("generate", '[spark]\nspark.k = "${env:SECRET}"', out="b").out == "b"


# The declarations and what is generated from them


def test_a_setting_of_several_commands_has_one_type_and_one_meaning_unless_it_is_declared_by_each():
    shared: dict[str, set[tuple[str, type]]] = {}
    for kind in COMMANDS.values():
        for name, field in declared(kind).items():
            if field.name not in kind.__annotations__:
                shared.setdefault(name, set()).add((field.metadata["meaning"], type_of(kind, name)))
    assert {name: len(declarations) for name, declarations in shared.items()} == dict.fromkeys(shared, 1)


def test_a_command_shows_its_own_settings_first():
    own = ["source", "from", "until", "slice_mib", "slice_files", "file_hours", "retry"]
    shared = ["tables", "lake", "catalog", "turns", "s3_endpoint_url", "class_archives", "verbose"]
    depths, privacy = ["skim_s", "deep_read_s", "deep_watch_s"], ["visitor_ip", "user_agent", "strip_query"]
    assert list(declared(BatchSettings)) == [*own, *shared, *depths, "json", *privacy, "extra_field", "partition"]


def test_a_folder_is_registered_in_a_schema():
    with pytest.raises(SettingsError, match="say with --schema NAME where"):
        load(RegisterSettings, {"lake": "s3a://lake"}, command="register")
    assert load(RegisterSettings, {"lake": "s3a://lake", "schema": "a.b"}, command="register").schema == "a.b"
    with pytest.raises(SettingsError, match="schema='b' beside a catalog, whose views stay with its tables"):
        load(RegisterSettings, {"catalog": "main.a", "schema": "b"}, command="register")
    with pytest.raises(SettingsError, match="--schema='2026' is not a name"):
        load(RegisterSettings, {"lake": "s3a://lake", "schema": "2026"}, command="register")


def test_what_is_private_is_told_to_both_doors_in_one_place(here: Path):
    file = 'visitor_ip = "truncate"\nstrip_query = ["email", "token"]'
    batch = loaded("batch", file, source=[SOURCE], catalog="a.b")
    stream = loaded("stream", file, catalog="a.b", stream="s", checkpoint="c")
    for settings in (batch, stream):
        assert (settings.visitor_ip, settings.user_agent, settings.keeps_all) == ("truncate", "keep", False)
        assert settings.strip_query == ("email", "token")
    assert loaded("batch", source=[SOURCE], catalog="a.b").keeps_all


def test_what_counts_as_deep_is_more_than_a_skim():
    with pytest.raises(SettingsError, match="deep_read_s=10 is less than skim_s=15"):
        load(VerifySettings, {"lake": "s3a://lake", "deep_read_s": "10"}, command="verify")


@pytest.mark.parametrize(
    "hour", ["2026-1-4", "2026-02-30", "2026-01-14T24", "2026-01-14 06", "today", "2026-01-14T06:00"]
)
def test_an_hour_that_is_none_is_named(hour: str):
    with pytest.raises(SettingsError, match=r"--from='.*' is no hour; write YYYY-MM-DD or YYYY-MM-DDTHH, in UTC\."):
        load(BatchSettings, {"source": ("s3a://x",), "lake": "s3a://lake", "from": hour}, command="batch")


def test_hours_between_which_there_is_none_are_refused():
    flags = {"source": ("s3a://x",), "lake": "s3a://lake", "from": "2026-01-14", "until": "2026-01-14T00"}
    with pytest.raises(SettingsError, match="no hour lies between them"):
        load(BatchSettings, flags, command="batch")


def test_no_setting_has_the_name_of_a_table_in_the_file():
    # `stream` has a setting `stream`, which stands in its table, and lends it.
    named = {
        name
        for command, kind in COMMANDS.items()
        for name, field in declared(kind).items()
        if name not in (command, field.metadata["table"])
    }
    assert not named & {*COMMANDS, "spark"}


def test_the_doctor_looks_at_what_other_commands_are_told(here: Path):
    file = f'lake = "s3a://b/lake"\n[batch]\nsource = "{SOURCE}"\nretry = true\n[stream]\nstream = "s"\nregion = "r"'
    doctor = loaded("doctor", file)
    assert (doctor.source, doctor.stream, doctor.region, doctor.role_arn) == ((SOURCE,), "s", "r", None)
    doctor = loaded("doctor", f'{file}\ncheckpoint = "s3a://b/c"\nreader = "aws-kinesis"')
    assert (doctor.checkpoint, doctor.reader) == ("s3a://b/c", "aws-kinesis")
    doctor = loaded("doctor", f'{file}\n[doctor]\nstream = "t"', {"PARSELY_SPARK_REGION": "x"}, catalog="a.b")
    assert (doctor.stream, doctor.region, doctor.lake, doctor.catalog) == ("t", "x", None, "a.b")


def test_the_doctor_needs_to_be_told_nothing_and_refuses_no_source_that_it_could_look_at(here: Path):
    doctor = loaded("doctor", None)
    assert (doctor.source, doctor.lake, doctor.catalog, doctor.stream) == ((), None, None, None)
    assert loaded("doctor", None, source=["gone"]).source == ("gone",)
    with pytest.raises(SettingsError, match=r"^both of --lake URI and --catalog NAME given"):
        DoctorSettings(lake="x", catalog="a.b")


def test_the_page_of_settings_has_a_row_for_each_setting_of_each_command():
    page = docs.settings_page()
    for command, kind in COMMANDS.items():
        section = page.split(f"\n## {command}\n")[1].split("\n## ")[0]
        variables = re.findall(r"^\| `--[^|]*\| `(\w+)` \|", section, flags=re.MULTILINE)
        assert variables == [variable_of(name) for name in declared(kind)]


def switched_on(text: str) -> str:
    """The example file with every setting in it switched on."""
    return re.sub(r"^#(?=[^ \n])", "", text, flags=re.MULTILINE)


@pytest.fixture(scope="module")
def example() -> str:
    return (ROOT / "conf/parsely.toml").read_text(encoding="utf-8")


def test_the_example_file_changes_nothing_as_it_is(example: str):
    assert tomllib.loads(example) == {}


@pytest.mark.parametrize("instead", ["lake", "catalog"])
@pytest.mark.parametrize("command", COMMANDS)
def test_the_example_file_loads_with_every_line_switched_on(here: Path, example: str, command: str, instead: str):
    left_out = (instead, "schema") if instead == "lake" else (instead,)  # the schema is one for a folder's tables
    toml = re.sub(rf"^({'|'.join(left_out)}) = .*\n", "", switched_on(example), flags=re.MULTILINE)
    settings = loaded(command, toml, KEYS)
    for name, field in declared(COMMANDS[command]).items():
        shown = field.metadata["example"] or field.default
        assert getattr(settings, field.name) == (None if name in left_out else shown)


def test_the_example_file_has_every_setting(example: str):
    content = tomllib.loads(switched_on(example))
    for command, kind in COMMANDS.items():
        lent = {name for name, of in declared(kind).items() if name in content.get(of.metadata["table"] or "", ())}
        assert {*content, *content[command], *lent} >= set(declared(kind))


def test_the_example_file_gives_the_bucket_of_parsely_keys_of_its_own(here: Path, example: str):
    toml = re.sub(r"^lake = .*\n", "", switched_on(example), flags=re.MULTILINE)
    of_bucket = "spark.hadoop.fs.s3a.bucket.parsely-dw-example-com"
    keys = {key: value for key, value in loaded("batch", toml, KEYS).spark if key.startswith(of_bucket)}
    assert keys[f"{of_bucket}.access.key"] == KEYS["PARSELY_ACCESS_KEY_ID"]
    assert keys[f"{of_bucket}.secret.key"] == KEYS["PARSELY_SECRET_ACCESS_KEY"]


# Extra fields


@pytest.mark.parametrize("command", ["batch", "stream", "migrate"])
def test_extra_fields_are_fields_as_the_schema_has_them(here: Path, command: str):
    file = 'lake = "s3a://b/lake"\nextra_field = ["mood:string", "score:bigint", "mood:string", "own:array<string>"]'
    more = {"batch": {"source": [SOURCE]}, "stream": {"stream": "s", "checkpoint": "s3a://b/c"}}.get(command, {})
    fields = loaded(command, file, **more).extra_fields
    assert [(field.name, field.type) for field in fields] == [
        ("mood", "string"),
        ("score", "long"),
        ("own", "array<string>"),
    ]
    assert (
        loaded(command, None, {"PARSELY_SPARK_EXTRA_FIELD": "a:double"}, lake="s3a://b", **more).extra_fields[0].name
        == "a"
    )


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "mood",
            "'mood' is no field and type; write NAME:TYPE, TYPE one of string, bigint, double, boolean, array<stri",
        ),
        (":string", "':string' is no field and type; "),
        ("mood:int", "'mood:int' is no field and type; "),
        ("mood:json", "'mood:json' is no field and type; "),
        ("a:b:string", "'a:b:string' is no field and type; "),
        ("url:string", "'url:string': events has a column url already; leave this one out."),
        ("event_at:bigint", "'event_at:bigint': events has a column event_at already; leave this one out."),
        ("_rescued:string", "'_rescued:string': events has a column _rescued already; leave this one out."),
        ("_mood:string", "'_mood:string': '_mood' is no name of a field; write small letters, digits and _, a letter "),
        ("Mood:string", "'Mood:string': 'Mood' is no name of a field; "),
        ("my mood:string", "'my mood:string': 'my mood' is no name of a field; "),
        ("mood`:string", "'mood`:string': 'mood`' is no name of a field; "),
        (
            "source:string",
            "'source:string': source is what this program calls something of its own; leave it out, its ",
        ),
        ("parsely_spark_end:string", "'parsely_spark_end:string': parsely_spark_end is what this program calls someth"),
    ],
)
def test_what_can_be_no_extra_field_is_refused(here: Path, text: str, said: str):
    refused = refusal("migrate", lake="s3a://b/lake", extra_field=[text])
    assert refused.startswith(f"--extra-field={said}")


def test_an_extra_field_of_two_types_is_refused(here: Path):
    refused = refusal("migrate", lake="s3a://b/lake", extra_field=["mood:string", "mood:double"])
    assert refused == "extra_field gives mood as string and as double; give one of them."


def test_settings_of_a_session_need_nothing():
    assert SparkSettings() == SparkSettings(s3_endpoint_url=None, class_archives=None, verbose=False, spark=())
