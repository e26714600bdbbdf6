"""Kinesis for the tests, on this machine: an HTTP server with a clock of its own that keeps AWS's limits and habits.

What moto does not have: sequence numbers of 56 digits that are bound to the stream, closed shards that keep their
records and end, retention, iterators that expire, empty pages on the way through silence, pages of 10 MiB at most, and
its rates: five calls a second and 2 MiB a second of a shard, five iterators, and twenty summaries of the account.
"""

from __future__ import annotations

import base64
import json
import threading
import time
from bisect import bisect_right
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from hashlib import md5
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

HOUR_MS = 3_600_000
_HASHES = 2**128
_MOST_RECORDS, _MOST_BYTES = 10_000, 10 * 2**20
_ITERATOR_MS = 300_000


class Refused(Exception):
    """An answer of AWS's that says no."""

    def __init__(self, code: str, message: str = "") -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Shard:
    """Its records, by sequence number, and the part of the hash keys that it has."""

    id: str
    first: int
    low: int
    high: int
    parents: tuple[str, ...] = ()
    records: list[tuple[int, int, bytes, str | None]] = field(default_factory=list)  # number, arrival, data, key
    last: int | None = None  # of a closed one
    closed_ms: int = 0

    def next_number(self) -> int:
        """Of the next record; numbers have gaps."""
        newest = self.records[-1][0] if self.records else self.first
        return newest + 1 + (newest * 7919) % 1000


@dataclass
class Stream:
    """A stream and its shards."""

    created_ms: int
    serial: int
    retention_ms: int
    shards: dict[str, Shard] = field(default_factory=dict)


class FakeKinesis:
    """The streams, and how the server treats whoever asks.

    Attributes:
        url: of the server.
        calls: how often each action was asked for.
        too_fast: calls of each kind beyond so many in a second; each was refused.
        too_much: shards that were asked while they rested from a large page; likewise.
        refuses_every: refuses each n-th call for records because of its rate; 0 for none.
        refuses_while: says, at each call for records, whether to refuse it likewise.
        denies: actions for which whoever asks has no right.
        walk_ms: of arrival that one page looks at; what is further away takes more pages.
        calls_per_s: for records of one shard, and as many for iterators, and four times as many for summaries; tests
            that are not about rates need not wait.
        bytes_per_s: of records of one shard; what a page has too much delays the next one.
    """

    def __init__(self) -> None:
        self.url = ""
        self.calls: Counter[str] = Counter()
        self.too_fast: list[str] = []
        self.too_much: list[str] = []
        self.refuses_every = 0
        self.refuses_while: Callable[[], bool] = lambda: False
        self.denies: set[str] = set()
        self.walk_ms = HOUR_MS
        self.calls_per_s = 5
        self.bytes_per_s = 2 * 2**20
        self._streams: dict[str, Stream] = {}
        self._ahead_ms = 0
        self._serials = 0
        self._recent: dict[str, list[float]] = defaultdict(list)
        self._busy_until: dict[str, float] = defaultdict(float)
        self._lock = threading.RLock()

    def now_ms(self) -> int:
        """The clock, which `advance` moves."""
        return int(time.time() * 1000) + self._ahead_ms

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead_ms += int(seconds * 1000)

    def create(self, name: str, shards: int = 1, retention_h: int = 24) -> None:
        """Make a stream, in the place of one of that name."""
        with self._lock:
            self._serials += 1
            stream = Stream(self.now_ms(), self._serials, retention_h * HOUR_MS)
            self._streams[name] = stream
            for number in range(shards):
                _add(stream, number * _HASHES // shards, (number + 1) * _HASHES // shards - 1, ())

    def put(self, name: str, *data: bytes, key: str | None = None, at_ms: int | None = None) -> None:
        """Put records, each by the hash of its data, or all by that of *key*; arrival is now, or *at_ms*."""
        with self._lock:
            for one in data:
                hashed = int(md5((key or "").encode() or one).hexdigest(), 16)
                for shard in self._streams[name].shards.values():
                    if shard.last is None and shard.low <= hashed <= shard.high:
                        shard.records.append((shard.next_number(), at_ms or self.now_ms(), one, key))

    def split(self, name: str, shard_id: str) -> None:
        """Make two of a shard; it keeps its records."""
        with self._lock:
            stream = self._streams[name]
            shard = self._close(stream, shard_id)
            middle = (shard.low + shard.high) // 2
            _add(stream, shard.low, middle, (shard_id,))
            _add(stream, middle + 1, shard.high, (shard_id,))

    def merge(self, name: str, one: str, other: str) -> None:
        """Make one of two neighbours; they keep their records."""
        with self._lock:
            stream = self._streams[name]
            low, high = sorted((self._close(stream, one), self._close(stream, other)), key=lambda shard: shard.low)
            assert low.high + 1 == high.low
            _add(stream, low.low, high.high, (one, other))

    def open_shards(self, name: str) -> list[str]:
        """Ids of the open shards, by their part of the hash keys."""
        shards = sorted(self._streams[name].shards.values(), key=lambda shard: shard.low)
        return [shard.id for shard in shards if shard.last is None]

    def records(self, name: str) -> list[tuple[str, str, bytes]]:
        """Everything that is held: shard, sequence number, data."""
        stream = self._streams[name]
        return [
            (s.id, str(number), data) for s in stream.shards.values() for number, _, data, _ in self._held(stream, s)
        ]

    def _close(self, stream: Stream, shard_id: str) -> Shard:
        shard = stream.shards[shard_id]
        assert shard.last is None
        shard.last, shard.closed_ms = shard.next_number(), self.now_ms()
        return shard

    def _held(self, stream: Stream, shard: Shard) -> list[tuple[int, int, bytes, str | None]]:
        horizon_ms = self.now_ms() - stream.retention_ms
        return [record for record in shard.records if record[1] >= horizon_ms]

    def answer(self, action: str, asked: dict[str, Any]) -> dict[str, Any]:
        """What AWS would."""
        with self._lock:
            self.calls[action] += 1
            answers = {
                "DescribeStreamSummary": self._summary,
                "ListShards": self._list,
                "GetShardIterator": self._iterator,
                "GetRecords": self._records,
            }
            if action not in answers:
                raise Refused("UnknownOperationException", action)
            if action in self.denies:
                raise Refused("AccessDeniedException", _denial(action))
            return answers[action](asked)

    def _named(self, asked: dict[str, Any]) -> Stream:
        name = asked.get("StreamName") or asked.get("StreamARN", "").rpartition("/")[2]
        if name not in self._streams:
            raise Refused("ResourceNotFoundException", f"Stream {name} under account 123456789012 not found.")
        return self._streams[name]

    def _summary(self, asked: dict[str, Any]) -> dict[str, Any]:
        stream = self._named(asked)
        self._count("DescribeStreamSummary", 4 * self.calls_per_s, "LimitExceededException")
        said = {
            "StreamCreationTimestamp": stream.created_ms / 1000,
            "RetentionPeriodHours": stream.retention_ms // HOUR_MS,
        }
        return {"StreamDescriptionSummary": said}

    def _list(self, asked: dict[str, Any]) -> dict[str, Any]:
        token = json.loads(asked["NextToken"]) if "NextToken" in asked else None
        if token and "StreamName" in asked:
            raise Refused("InvalidArgumentException", "NextToken and StreamName cannot be provided together.")
        name, begin = token or (next(n for n, s in self._streams.items() if s is self._named(asked)), 0)
        stream = self._streams[name]
        listed = self._listed(stream)
        page = listed[begin : begin + 100]
        said: dict[str, Any] = {"Shards": [_said(shard) for shard in page]}
        if begin + 100 < len(listed):
            said["NextToken"] = json.dumps([name, begin + 100])
        return said

    def _listed(self, stream: Stream) -> list[Shard]:
        horizon_ms = self.now_ms() - stream.retention_ms
        return [s for s in stream.shards.values() if s.last is None or s.closed_ms >= horizon_ms]

    def _iterator(self, asked: dict[str, Any]) -> dict[str, Any]:
        stream = self._named(asked)
        shard, kind = stream.shards.get(asked["ShardId"]), asked["ShardIteratorType"]
        if shard is None or shard not in self._listed(stream):
            raise Refused("ResourceNotFoundException", f"Shard {asked['ShardId']} in stream s does not exist")
        self._count(f"GetShardIterator {stream.serial} {shard.id}", self.calls_per_s)
        after, since_ms, now_ms = -1, 0, self.now_ms()
        if kind.endswith("SEQUENCE_NUMBER"):
            number = int(asked["StartingSequenceNumber"])
            if number // 10**50 != shard.first // 10**50:
                raise Refused(
                    "InvalidArgumentException", f"StartingSequenceNumber {number} did not come from this stream"
                )
            after = number - (kind == "AT_SEQUENCE_NUMBER")
            there = bisect_right(shard.records, after, key=lambda record: record[0])
            at = there if kind.startswith("AT") else there - 1
            since_ms = shard.records[at][1] if 0 <= at < len(shard.records) else shard.closed_ms or now_ms
        elif kind == "AT_TIMESTAMP":
            since_ms = int(asked["Timestamp"] * 1000)
            if since_ms > now_ms:
                raise Refused("InvalidArgumentException", "The timestampInMillis parameter cannot be greater than now")
            since_ms = max(since_ms, now_ms - stream.retention_ms)  # as AWS: what is older is the oldest that it holds
        elif kind == "LATEST":
            after, since_ms = shard.records[-1][0] if shard.records else -1, now_ms
        elif kind == "TRIM_HORIZON":
            since_ms = now_ms - stream.retention_ms
        is_timed = kind in ("AT_TIMESTAMP", "TRIM_HORIZON")
        return {"ShardIterator": self._token(stream, shard, after, since_ms, is_timed)}

    def _token(self, stream: Stream, shard: Shard, after: int, walked_ms: int, is_timed: bool) -> str:
        said = [stream.serial, shard.id, after, walked_ms, is_timed, self.now_ms()]
        return base64.b64encode(json.dumps(said).encode()).decode()

    def _records(self, asked: dict[str, Any]) -> dict[str, Any]:
        serial, shard_id, after, walked_ms, is_timed, made_ms = json.loads(base64.b64decode(asked["ShardIterator"]))
        stream = next(stream for stream in self._streams.values() if stream.serial == serial)
        shard, now_ms = stream.shards[shard_id], self.now_ms()
        self._count(f"GetRecords {serial} {shard_id}", self.calls_per_s)
        if self.refuses_while() or (self.refuses_every and self.calls["GetRecords"] % self.refuses_every == 0):
            raise Refused("ProvisionedThroughputExceededException", "Rate exceeded for shard.")
        if time.monotonic() < self._busy_until[f"{serial} {shard_id}"]:
            self.too_much.append(shard_id)
            raise Refused("ProvisionedThroughputExceededException", "Rate exceeded for shard.")
        if now_ms - made_ms > _ITERATOR_MS:
            raise Refused("ExpiredIteratorException", "Iterator expired.")
        if not is_timed and walked_ms < now_ms - stream.retention_ms:  # as AWS does: nothing, and no error, for ever
            token = self._token(stream, shard, after, walked_ms, is_timed)
            return {"Records": [], "MillisBehindLatest": stream.retention_ms, "NextShardIterator": token}
        ahead = [r for r in self._held(stream, shard) if r[0] > after and (not is_timed or r[1] >= walked_ms)]
        upto_ms = (shard.closed_ms if shard.last is not None else now_ms) + 1
        if (ahead[0][1] if ahead else upto_ms) - walked_ms > self.walk_ms:
            token = self._token(stream, shard, after, walked_ms + self.walk_ms, is_timed)
            return {"Records": [], "MillisBehindLatest": now_ms - walked_ms - self.walk_ms, "NextShardIterator": token}
        page = _page(ahead, asked.get("Limit", _MOST_RECORDS))
        rest = ahead[len(page) :]
        # As AWS has it: after a page of 10 MiB, there is none for the next 5 s.
        size = sum(len(record[2]) for record in page)
        if size > self.bytes_per_s:
            self._busy_until[f"{serial} {shard_id}"] = time.monotonic() + size / self.bytes_per_s
        said: dict[str, Any] = {"Records": [_record(*record) for record in page]}
        said["MillisBehindLatest"] = max(0, now_ms - page[-1][1]) if rest else 0
        if rest or shard.last is None:
            last, at_ms = (
                (page[-1][0], page[-1][1]) if page else (after, max(walked_ms, now_ms) if not ahead else walked_ms)
            )
            said["NextShardIterator"] = self._token(stream, shard, last, at_ms, is_timed and not page)
        else:
            said["ChildShards"] = [{"ShardId": s.id} for s in stream.shards.values() if shard_id in s.parents]
        return said

    def _count(self, what: str, per_s: int, code: str = "ProvisionedThroughputExceededException") -> None:
        now = time.monotonic()
        recent = self._recent[what] = [at for at in self._recent[what] if now - at < 1]
        if len(recent) >= per_s:
            self.too_fast.append(what)
            raise Refused(code, "Rate exceeded.")
        recent.append(now)


def _denial(action: str) -> str:
    """As AWS says it."""
    return (
        f"User: arn:aws:iam::123456789012:user/reader is not authorized to perform: kinesis:{action} on resource: "
        f"arn:aws:kinesis:us-east-1:123456789012:stream/s because no identity-based policy allows the kinesis:{action} "
        "action"
    )


def _add(stream: Stream, low: int, high: int, parents: tuple[str, ...]) -> None:
    number = len(stream.shards)
    first = 49 * 10**54 + stream.serial * 10**50 + number * 10**40 + 12_345
    shard = Shard(f"shardId-{number:012d}", first, low, high, parents)
    stream.shards[shard.id] = shard


def _said(shard: Shard) -> dict[str, Any]:
    numbers = {"StartingSequenceNumber": str(shard.first)}
    if shard.last is not None:
        numbers["EndingSequenceNumber"] = str(shard.last)
    hashes = {"StartingHashKey": str(shard.low), "EndingHashKey": str(shard.high)}
    parents = dict(zip(("ParentShardId", "AdjacentParentShardId"), shard.parents, strict=False))
    return {"ShardId": shard.id, "HashKeyRange": hashes, "SequenceNumberRange": numbers, **parents}


def _page(records: list[tuple[int, int, bytes, str | None]], most: int) -> list[tuple[int, int, bytes, str | None]]:
    size, page = 0, []
    for record in records[:most]:
        size += len(record[2])
        if page and size > _MOST_BYTES:
            break
        page.append(record)
    return page


def _record(number: int, at_ms: int, data: bytes, key: str | None) -> dict[str, Any]:
    said = {"SequenceNumber": str(number), "ApproximateArrivalTimestamp": at_ms / 1000}
    said["Data"] = base64.b64encode(data).decode()
    return said if key is None else {**said, "PartitionKey": key}


@contextmanager
def fake_kinesis(*, asked_by_one: bool = True) -> Iterator[FakeKinesis]:
    """A running server; whoever has asked it too often learns of it at the end.

    Planner and workers of Spark are processes of their own, each with its own pace: where they are the ones who ask, a
    call too many is refused like any other, and made again.
    """
    kinesis = FakeKinesis()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            """As AWS answers who does not sign: no, and what time it is."""
            self.send_response_only(403)
            self.send_header("Date", formatdate(kinesis.now_ms() / 1000, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def do_POST(self) -> None:
            action = self.headers["X-Amz-Target"].rpartition(".")[2]
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            try:
                status, said = 200, kinesis.answer(action, asked)
            except Refused as refused:
                status, said = 400, {"__type": refused.code, "message": str(refused)}
            body = json.dumps(said).encode()
            self.send_response_only(status)
            self.send_header("Date", formatdate(kinesis.now_ms() / 1000, usegmt=True))
            self.send_header("Content-Type", "application/x-amz-json-1.1")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Not."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    kinesis.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield kinesis
    finally:
        server.shutdown()
        server.server_close()
    assert not asked_by_one or kinesis.too_fast == [], kinesis.too_fast
