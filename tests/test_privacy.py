"""What is private by the settings is in no file of a lake, and nothing else changes.

Canaries of three kinds sing in every place that a line has: the visitor's address, the name of a device in the
User-Agent, and the value of a parameter of a URL.
"""

from __future__ import annotations

import gzip
import json
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow.parquet as pq
import pytest
from hostile_lines import HOSTILE_LINES, ID, INGESTED_AT, SITE, TIME, of, usual
from pyspark.sql import functions as F

from parsely_spark.cli import main
from parsely_spark.pipelines.batch import Limits, Summary, run_batch
from parsely_spark.privacy_settings import KEEP_ALL, PrivacySettings
from parsely_spark.progress import Progress
from parsely_spark.schema import EVENT_FIELDS
from parsely_spark.tables.catalog import Lake
from parsely_spark.tables.erasure import Visitors, erase_lines, erase_rescued
from parsely_spark.testing.generate import generate
from parsely_spark.transforms.parse import parse
from parsely_spark.transforms.privacy import without_private

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

QUIET = Progress(is_terminal=False)
TABLES = ("sessions", "pageviews")
OTHERS = ("cooking.example", "news.example", "sports.example", "zeitung.example")  # sites that are generated
TRUNCATED = PrivacySettings(visitor_ip="truncate", user_agent="truncate", strip_query=("email", "token"))
FLAGS = ("--visitor-ip", "truncate", "--user-agent", "truncate", "--strip-query", "email", "--strip-query", "token")
# By the tables that tell of them where nothing is cut.
BOTH = {"events", "rejected_lines"}
CANARIES = {"203.0.113.77": BOTH, "7777:8888": {"events"}, "KNR-77": BOTH, "kanari": {*BOTH, "pageviews"}}
AGENT = b"Mozilla/5.0 (Linux; Android 13; KNR-77 Build/1) Chrome/120.0.6099.77 Mobile"
URL = b"https://a.example/?q=1&email=kanari&b=2"
PRIVATE = b'"visitor_ip":"203.0.113.77","user_agent":"' + AGENT + b'","url":"' + URL + b'"'
CUT = ("visitor_ip", "user_agent", "ua_device", "ua_devicebrand", "ua_devicemodel", "ua_osversion")
# The fields by which an event is known or read are what they are; of visitors, see `forget`.
LEFT_ALONE = ("apikey", "event_id", "visitor_site_id", "ts_action", "visitor_ip", "user_agent")


def everywhere() -> bytes:
    """An event with a URL in every text and list there is."""
    texts = {f.name: URL.decode() for f in EVENT_FIELDS if f.type == "string" and f.name not in LEFT_ALONE}
    lists = {f.name: [URL.decode(), None] for f in EVENT_FIELDS if f.type == "array<string>"}
    nested = {"extra_data": {"a": {"b": [URL.decode(), {"c": "?email=kanari"}]}, "n": 5}}
    return usual(json.dumps(texts | lists | nested)[1:-1].encode())


PLACES = [
    everywhere(),
    usual(b'"action":"pageview","visitor_site_id":"reader",' + PRIVATE),
    # an address
    usual(rb'"visitor_ip":"203\u002e0\u002e113\u002e77"'),
    usual(b'"visitor_ip":"2001:db8:7777:8888::77"'),
    usual(b'"visitor_ip":["203.0.113.77"]'),
    usual(b'"visitor_ip":{"a":"203.0.113.77"}'),
    usual(b'"visitor_ip":"203.0.113.77","visitor_ip":"203.0.113.77:443"'),
    usual(rb'"visitor\u005fip":"203.0.113.77, 203.0.113.77"'),
    # under another name
    usual(b'"VISITOR_IP":"203.0.113.77"'),
    usual(b'"visitor.ip":["203.0.113.77"]'),
    usual(b'"client":"203.0.113.77"'),
    usual(b'"client":{"v6":"2001:db8:7777:8888::77"}'),
    usual(b'"203.0.113.77":1'),
    usual(b'"User-Agent":"KNR-77"'),
    usual(b'"browser":"' + AGENT + b'"'),
    usual(b'"extra_data":{"visitor_ip":"203.0.113.77","userAgent":"KNR-77","kept":1}'),
    usual(b'"extra_data":{"visitor":{"user_agent":["KNR-77"]}}'),
    usual(rb'"extra_data":{"in":"{\"visitor_ip\":\"203.0.113.77\"}"}'),
    usual(rb'"metadata_custom_metadata":"{\"user-agent\": \"KNR-77\"}"'),
    usual(b'"ua_device":"KNR-77","ua_devicebrand":"KNR-77","ua_devicemodel":"KNR-77","ua_osversion":"13.KNR-77"'),
    # a parameter
    usual(b'"url":"https://a.example/?%65mail=kanari#Email=kanari"'),
    usual(rb'"url":"https://a.example/\u003f\u0065mail\u003dkan\u0061ri"'),
    usual(b'"url":"https://a.example/?next=https%3A%2F%2Fb.example%2F%3Femail%3Dkanari%26a%3D1"'),
    usual(b'"referrer":"https://a.example/?n=https%253A%252F%252Fb.example%253Femail%253Dkanari"'),
    usual(rb'"extra_data":{"in":"{\"url\":\"https://a.example/?email=kanari\"}"}'),
    usual(rb'"metadata_custom_metadata":"{\"url\":\"https:\\/\\/a.example\\/?a=1\\u0026email=kanari\"}"'),
    usual(b'"metadata_custom_metadata":"{broken ?email=\\"kanari"'),
    usual(b'"link":"https://a.example/?email=kanari","kept":"x"'),
    usual(b'"link":{"a":["https://a.example/?email=kanari"]}'),
    usual(b'"https://a.example/?email=kanari":1'),
    usual(b'"engaged_time_inc":"https://a.example/?email=kanari"'),
    usual(b'"extra_data":["https://a.example/?email=kanari"]'),
    # in what is said of a line that is no event
    of(b'"apikey":"https://a.example/?email=kanari"', ID),
    of(SITE, ID, b'"ts_action":"203.0.113.77"'),
    of(b'"event_id":{"visitor_ip":"203.0.113.77"}', TIME),
    of(b'"visitor_site_id":"gone",' + PRIVATE, ID),
    usual(b'"visitor_site_id":"another","link_of":"gone"'),
    # of which nothing is an object
    b"203.0.113.77 - - " + AGENT + b" GET /?email=kanari",
    b'isitor_ip":"203.0.113.77","user_agent":"KNR-77","url":"https://a.example/?email=kanari"}',
    usual(PRIVATE)[:-8],
    usual(b'"visitor_ip":"203.0.113.77')[:-1],
    usual(b'"visitor_ip":"203.0.113.77').decode().encode("utf-16"),
]


def with_canaries(line: bytes) -> bytes:
    """A hostile *line* with all canaries in it, as far as it has a place for them."""
    return line.replace(b"{", b"{" + PRIVATE + b",", 1) if b"{" in line else line + PRIVATE


def lines() -> list[bytes]:
    """All of them, each event under an id of its own."""
    hostile = [with_canaries(content) for content, _ in HOSTILE_LINES.values() if len(content) < 20_000]
    return [line.replace(b'"0x1"', b'"0x%d"' % number) for number, line in enumerate([*PLACES, *hostile])]


class Runs(NamedTuple):
    """The lake of a run that keeps all, and of one that does not, and what each has said."""

    kept: Lake
    cut: Lake
    of_kept: Summary
    of_cut: dict[str, Any]
    said: str


@pytest.fixture(scope="module")
def bucket(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Realistic events, of sites of their own, and the lines; also as a table in CSV with a cell too many."""
    out = tmp_path_factory.mktemp("privacy") / "bucket"
    generate(out, events=500, hours=2, seed=8)
    chunk = sorted(out.glob("events/**/*.gz"))[0]
    (chunk.parent / "canaries.gz").write_bytes(gzip.compress(b"\n".join(lines()) + b"\n"))
    head = b"apikey,event_id,timestamp_info_nginx_ms,visitor_site_id,visitor_ip,link\n"
    rows = (
        b"a.example,c1,1768435199000,v,203.0.113.77,?email=kanari\na.example,c2,1,v,203.0.113.77,?email=kanari,KNR-77\n"
    )
    (out / "events.csv").write_bytes(head + rows)
    return out


@pytest.fixture(scope="module")
def runs(spark: SparkSession, bucket: Path, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    """Over the same files."""
    folder = tmp_path_factory.mktemp("lakes")
    sources = [str(bucket / "events"), str(bucket / "events.csv")]
    kept, cut = (Lake(spark, str(folder / name)) for name in ("kept", "cut"))
    of_kept = run_batch(kept, sources, QUIET, Limits(tables=TABLES))
    flags = [word for source in sources for word in ("--source", source)]
    with pytest.MonkeyPatch.context() as patch:
        said: list[str] = []
        patch.setattr("builtins.print", lambda *words, **_: said.append(" ".join(map(str, words))))
        assert main(["batch", *flags, "--lake", cut.place, *FLAGS, "--tables", ",".join(TABLES), "--json"]) == 0
    return Runs(kept, cut, of_kept, json.loads(said[-1]), "\n".join(said))


def holding(place: str, text: str) -> list[str]:
    """The files of a lake, also those of its log, in which a text is: in their bytes or in what is read from them."""
    found = []
    for path in (path for path in Path(place).rglob("*") if path.is_file()):
        rows = ""
        if path.suffix == ".parquet":
            rows = json.dumps(pq.read_table(path, partitioning=None).to_pylist(), default=repr)
        if text in rows or text.encode() in path.read_bytes():
            found.append(str(path.relative_to(place)))
    return found


@pytest.mark.parametrize("canary", CANARIES)
def test_what_is_private_is_in_no_file_of_the_lake_and_in_nothing_that_is_said(runs: Runs, canary: str) -> None:
    told = {path.split("/")[0] for path in holding(runs.kept.place, canary)}
    assert CANARIES[canary] <= told
    assert holding(runs.cut.place, canary) == []
    assert canary not in runs.said


def test_what_comes_of_a_line_and_its_keys_are_the_same(runs: Runs) -> None:
    """A bot is a bot, too, whose User-Agent is cut."""
    for name in ("lines", "inserted", "duplicate", "rejected", "blank"):
        assert runs.of_cut[name] == getattr(runs.of_kept, name), name
    known = ("apikey", "event_id", "visitor_site_id", "session_key", "is_bot", "event_at", "date", "hour")
    keys = [Counter(lake.read("events").select(*known).collect()) for lake in (runs.kept, runs.cut)]
    assert keys[0] == keys[1]
    assert any(row["is_bot"] for row in keys[0])
    rejects = [lake.read("rejected_lines").select("line_sha256", "reason") for lake in (runs.kept, runs.cut)]
    assert Counter(rejects[0].collect()) == Counter(rejects[1].collect())


def test_of_the_events_of_others_only_the_three_fields_change_and_no_table_does(runs: Runs) -> None:
    others = F.col("apikey").isin(*OTHERS)
    same = [name for name in runs.kept.read("events").columns if name not in (*CUT, "ua_browserversion")]
    for table in ("events", *TABLES):
        columns = same if table == "events" else runs.kept.read(table).columns
        texts = [
            Counter(row[0] for row in lake.read(table).where(others).select(F.to_json(F.struct(*columns))).collect())
            for lake in (runs.kept, runs.cut)
        ]
        assert texts[0], table
        assert texts[0] == texts[1], table
    networks = runs.cut.read("events").where(others & F.col("visitor_ip").isNotNull()).select("visitor_ip")
    assert not networks.isEmpty()
    assert networks.where(~F.col("visitor_ip").rlike(r"(\.0|::)$")).isEmpty()


def test_what_stands_beside_the_private_stays(runs: Runs) -> None:
    """All of an event but the parameter, and of a line that is no event what it was judged by."""
    events = {row["event_id"]: row for row in runs.cut.read("events").where("apikey = 'a.example'").collect()}

    def told(name: str) -> set[str]:
        return {str(row[name]) for row in events.values() if row[name] is not None}

    assert {"https://a.example/?q=1&b=2", "https://a.example/"} <= told("url")
    assert "https://a.example/?next=https%3A%2F%2Fb.example%2F%3Fa%3D1" in told("url")
    assert {"203.0.113.0", "2001:db8:7777::"} == told("visitor_ip")
    assert "Mozilla/5.0 (Android) Chrome/120.0.0.0 Mobile" in told("user_agent")
    assert {'{"visitor_ip":null,"userAgent":null,"kept":1}', '{"link":"https://a.example/","kept":"x"}'} <= told(
        "extra_data"
    ) | told("_rescued")
    kept = runs.cut.read("rejected_lines").where("line IS NOT NULL").select("line", "reason").collect()
    assert {row["reason"] for row in kept} == {"no_apikey", "no_time", "time_out_of_range"}
    for stays in ('"apikey":"https://a.example/"', '"visitor_site_id":"gone"', '"timestamp_info_nginx_ms":"yesterday"'):
        assert any(stays in row["line"] for row in kept), stays


def test_what_came_in_without_the_settings_is_known_with_them(runs: Runs, bucket: Path, tmp_path: Path) -> None:
    # given: the same objects under other names
    for number, path in enumerate(bucket.glob("events/**/*.gz")):
        target = tmp_path / path.relative_to(bucket).parent / f"{number}.gz"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    rejects = runs.kept.read("rejected_lines").count()
    # when
    limits = Limits(tables=("conversions",), privacy=TRUNCATED)
    again = run_batch(runs.kept, [str(tmp_path / "events")], QUIET, limits)
    # then
    assert (again.inserted, again.lines - again.blank) == (0, again.duplicate + again.rejected)
    assert runs.kept.read("rejected_lines").count() == rejects


def test_a_visitor_is_found_in_what_is_left_of_a_line_and_of_what_was_rescued(runs: Runs) -> None:
    gone = Visitors(("gone",), None)
    assert (erase_lines(runs.cut, gone, run_id="1"), erase_rescued(runs.cut, gone, run_id="1")) == (1, 1)


def test_what_is_dropped_is_null_and_of_the_others_nothing_is_cut(spark: SparkSession) -> None:
    line = usual(PRIVATE + b',"ua_browser":"Chrome","ua_browserversion":"120.0.6099"')
    line = line[:-1] + b',"utm_term":"t","surl_utm_term":"t","utm_source":"s","campaign_id":"c"}'
    given = spark.createDataFrame([(line.decode(),)], "value string")
    parsed = parse(given, ingested_at=INGESTED_AT)
    (before,) = parsed.collect()

    def cut(**settings: Any) -> dict[str, Any]:
        (after,) = without_private(parsed, PrivacySettings(**settings)).collect()
        assert list(after.asDict()) == parsed.columns
        return {name: after[name] for name in parsed.columns if after[name] != before[name]}

    assert without_private(parsed, KEEP_ALL) is parsed
    assert cut(visitor_ip="drop") == {"visitor_ip": None}
    assert cut(user_agent="drop") == {"user_agent": None, "ua_browserversion": "120"}
    copies = dict.fromkeys(("utm_term", "surl_utm_term", "campaign_id"))
    assert cut(strip_query=("q", "UTM_Term")) == {"url": "https://a.example/?email=kanari&b=2", **copies}
