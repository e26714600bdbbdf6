"""Claims about the event contract: its declaration, the Spark schema built from it, its page in the docs."""

from __future__ import annotations

import importlib.util
import io
import json
import subprocess
import sys
import zipfile
from collections import Counter
from pathlib import Path
from types import ModuleType

import pytest

from parsely_spark import schema
from parsely_spark.schema import COLUMNS, EVENT_FIELDS, TYPES, event_field, event_struct, read_fields

ROOT = Path(__file__).resolve().parent.parent

# Written a second time on purpose, so that a slip in the declaration shows. A string where no type is given.
EVENT = """
action apikey campaign_id channel display:boolean display_avail_height:long display_avail_width:long
display_pixel_depth:long display_total_height:long display_total_width:long engaged_time_inc:long
event_id extra_data:json flags_is_amp:boolean ip_city ip_continent ip_country ip_lat:double ip_lon:double
ip_postal ip_subdivision ip_timezone ip_market_name ip_market_nielsen ip_market_doubleclick
metadata:boolean metadata_authors:array<string> metadata_canonical_url metadata_custom_metadata
metadata_duration:long metadata_data_source metadata_full_content_word_count:long metadata_image_url
metadata_page_type metadata_post_id metadata_pub_date_tmsp:long metadata_save_date_tmsp:long
metadata_section metadata_share_urls:array<string> metadata_tags:array<string> metadata_thumb_url
metadata_title metadata_urls:array<string> pageload_id pageview_id ref_category ref_clean ref_domain
ref_fragment ref_netloc ref_params ref_path ref_query ref_scheme referrer schema_version session:boolean
session_id:long session_initial_referrer session_initial_url session_last_session_timestamp:long
session_timestamp:long slot:boolean sref_category sref_clean sref_domain sref_fragment sref_netloc
sref_params sref_path sref_query sref_scheme surl_utm_campaign surl_utm_medium surl_utm_source
surl_utm_term surl_utm_content surl_clean surl_domain surl_fragment surl_netloc surl_params surl_path
surl_query surl_scheme timestamp_info:boolean timestamp_info_nginx_ms:long
timestamp_info_override_ms:long timestamp_info_pixel_ms:long ts_action ts_session_current ts_session_last
ua_browser ua_browserversion ua_device ua_devicebrand ua_devicemodel ua_devicetouchcapable:boolean
ua_devicetype ua_os ua_osversion url url_clean url_domain url_fragment url_netloc url_params url_path
url_query url_scheme utm_campaign utm_medium utm_source utm_term utm_content user_agent videostart_id
version:long visitor:boolean visitor_ip visitor_network_id visitor_site_id
"""

HEADER = ",".join(COLUMNS) + "\n"


def declared(*lines: str) -> io.StringIO:
    return io.StringIO(HEADER + "".join(f"{line}\n" for line in lines))


def run_python(code: str, *arguments: str, cwd: Path) -> str:
    """Run *code* in a fresh, isolated interpreter, which sees none of this process's imports."""
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, *arguments], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def docs() -> ModuleType:
    """``tools/docs.py``, which is a script and in no package."""
    spec = importlib.util.spec_from_file_location("parsely_spark_tools_docs", ROOT / "tools" / "docs.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# The declaration


def test_an_event_has_the_122_fields_of_the_data_pipeline_in_its_order():
    assert len(EVENT_FIELDS) == 122
    assert [f"{field.name}:{field.type}" for field in EVENT_FIELDS] == [
        field if ":" in field else f"{field}:string" for field in EVENT.split()
    ]


def test_each_version_of_the_record_added_as_many_fields_as_its_history_says():
    assert Counter(field.since for field in EVENT_FIELDS) == {
        "1.0.0": 100,
        "2.0.0": 11,
        "2.1.2": 1,
        "2.2.5": 5,
        "2.3.0": 5,
    }


def test_four_fields_are_required():
    required = {field.name for field in EVENT_FIELDS if field.required}
    assert required == {"apikey", "event_id", "timestamp_info_nginx_ms", "visitor_site_id"}


def test_each_gate_guards_its_group():
    gated = Counter(field.gate for field in EVENT_FIELDS if field.gate)
    assert gated == {
        "metadata": 17,
        "url_query": 6,
        "display": 5,
        "session": 5,
        "surl_query": 5,
        "timestamp_info": 3,
        "visitor": 2,
    }


def test_a_gate_is_a_flag_or_a_text_without_a_gate_of_its_own():
    gates = [event_field(name) for name in {field.gate for field in EVENT_FIELDS} - {""}]
    assert {(gate.type, gate.gate) for gate in gates} == {("boolean", ""), ("string", "")}


def test_every_number_that_measures_something_has_a_unit():
    without = {f.name for f in EVENT_FIELDS if f.type in ("long", "double") and not f.unit}
    assert without == {"session_id", "version"}  # an ordinal and a version number


def test_every_epoch_and_every_text_time_says_so():
    epochs = {field.name for field in EVENT_FIELDS if field.unit == "ms since the epoch"}
    assert epochs == {
        "metadata_pub_date_tmsp",
        "metadata_save_date_tmsp",
        "session_last_session_timestamp",
        "session_timestamp",
        "timestamp_info_nginx_ms",
        "timestamp_info_override_ms",
        "timestamp_info_pixel_ms",
    }
    texts = {field.name for field in EVENT_FIELDS if field.unit == "UTC text"}
    assert texts == {"ts_action", "ts_session_current", "ts_session_last"}


def test_meanings_are_one_distinct_sentence_each():
    meanings = [field.meaning for field in EVENT_FIELDS]
    assert len(set(meanings)) == len(meanings)
    assert [m for m in meanings if not m.endswith(".") or m != m.strip() or "\n" in m] == []


def test_a_comment_tells_meaning_unit_gate_and_version():
    assert event_field("session_timestamp").comment == (
        "Start of this session by the clock of the visitor's device. "
        "Unit: ms since the epoch. Null without session. Since 1.0.0."
    )


def test_comments_fit_a_catalog():
    assert [field.name for field in EVENT_FIELDS if not 0 < len(field.comment) < 1000] == []


def test_an_unknown_field_is_named_in_the_error():
    with pytest.raises(KeyError, match="visitor_id"):
        event_field("visitor_id")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (
            ["url,url,string,1.0.0,,,false,A.", "url,url,string,1.0.0,,,false,B."],
            "'url' is declared twice.*line 3",
        ),
        (["url,url,text,1.0.0,,,false,A."], "'url' has an unknown type, 'text'; wanted one of .'string'"),
        (["url,url,string,1.0.0,,page,false,A."], "'url' has the gate 'page', which is no event field"),
        (["url,url,string,1.0.0,,,yes,A."], "'url' has required='yes'; wanted true or false"),
        (["url,url,string,1.0,,,false,A."], "'url' has since='1.0'"),
        (["url,url,string,1.0.0,,,false, "], "'url' has no meaning"),
        (["url,,string,1.0.0,,,false,A."], "'url' has no group"),
        (["URL,url,string,1.0.0,,,false,A."], "'URL'.*small letters"),
        (["url,url,string,1.0.0,,,false,A, B."], "Line 2 .*quote those"),
        (["url,url,string,1.0.0,,,false"], "Line 2 .*8 values"),
    ],
)
def test_a_wrong_declaration_is_refused_by_name(lines: list[str], message: str):
    with pytest.raises(ValueError, match=message):
        read_fields(declared(*lines))


def test_a_declaration_with_other_columns_is_refused():
    with pytest.raises(ValueError, match=r"wanted .*'meaning'"):
        read_fields(io.StringIO("name,type\nurl,string\n"))


# The Spark schema


def test_the_struct_has_the_declared_types_and_is_nullable():
    spark_types = {
        "string": "string",
        "long": "bigint",
        "double": "double",
        "boolean": "boolean",
        "array<string>": "array<string>",
        "json": "string",
    }
    assert set(spark_types) == set(TYPES)
    assert [(f.name, f.dataType.simpleString(), f.nullable) for f in event_struct()] == [
        (field.name, spark_types[field.type], True) for field in EVENT_FIELDS
    ]


def test_extra_data_is_kept_as_text():
    assert event_field("extra_data").type == "json"
    assert event_struct()["extra_data"].dataType.simpleString() == "string"


def test_the_struct_carries_the_comments():
    assert {f.name: f.metadata for f in event_struct()} == {f.name: {"comment": f.comment} for f in EVENT_FIELDS}


def test_the_struct_survives_a_round_trip_through_json():
    struct = event_struct()
    assert type(struct).fromJson(json.loads(struct.json())) == struct


# Where it must load


@pytest.fixture
def package_zip(tmp_path: Path) -> Path:
    """The package as ``spark-submit --py-files`` takes it."""
    package = Path(schema.__file__).parent
    target = tmp_path / "parsely_spark.zip"
    with zipfile.ZipFile(target, "w") as archive:
        for file in sorted(package.rglob("*")):
            if file.suffix in (".py", ".csv"):
                archive.write(file, Path(package.name) / file.relative_to(package))
    return target


def test_the_declaration_loads_from_inside_a_zip(package_zip: Path, tmp_path: Path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from parsely_spark import schema\n"
        "print(schema.__file__, len(schema.EVENT_FIELDS))"
    )
    printed = run_python(code, str(package_zip), cwd=tmp_path)
    assert printed == f"{package_zip / 'parsely_spark' / 'schema.py'} 122"


def test_importing_the_schema_does_not_import_pyspark(package_zip: Path, tmp_path: Path):
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import parsely_spark.schema\n"
        "print(sorted(name for name in sys.modules if name.split('.')[0] in ('pyspark', 'py4j')))"
    )
    assert run_python(code, str(package_zip), cwd=tmp_path) == "[]"


def test_the_struct_needs_no_jvm(package_zip: Path, tmp_path: Path):
    code = (
        "import os, sys; sys.path.insert(0, sys.argv[1])\n"
        "os.environ.update(PATH='', JAVA_HOME='/nowhere')\n"
        "from parsely_spark.schema import event_struct\n"
        "print(len(event_struct()))"
    )
    assert run_python(code, str(package_zip), cwd=tmp_path) == "122"


# The page in the docs


def test_the_generated_pages_are_current(docs: ModuleType):
    assert docs.stale_pages(ROOT) == [], f"renew with: {docs.RENEW}"


def test_the_events_page_has_one_row_per_field(docs: ModuleType):
    rows = [line for line in docs.events_page().splitlines() if line.startswith("| `")]
    assert sorted(row.split("`")[1] for row in rows) == sorted(field.name for field in EVENT_FIELDS)
    assert {row.count(" | ") for row in rows} == {5}


def test_check_names_a_stale_page_and_the_command_that_renews_it(
    docs: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    assert docs.main(["--check"], root=tmp_path) == 1
    assert capsys.readouterr().err == f"Stale: {', '.join(docs.PAGES)}. Renew with: {docs.RENEW}\n"
    assert list(tmp_path.iterdir()) == []  # a check writes nothing


def test_writing_the_pages_makes_them_current(docs: ModuleType, tmp_path: Path):
    assert docs.main([], root=tmp_path) == 0
    assert docs.main(["--check"], root=tmp_path) == 0
