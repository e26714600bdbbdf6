"""Turns for writers of tables on S3, where Delta lets the second of two commits at the same time overwrite the first.

Each table has an object that names who may write to it. It is made, renewed and given back by requests that fail when
the object is not as it was read, so that of two there is one. A holder that has died renews it no more, and is followed
by whoever has watched the object stay the same for as long as a lease lasts: no clock is compared with another's.
"""

from __future__ import annotations

import json
import os
import random
import socket
import threading
import time
import uuid
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from parsely_spark.errors import LakeError
from parsely_spark.jvm import is_driver, is_s3a, look_at_object, read_object, write_object

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

    from parsely_spark.tables.catalog import Lake

LEASE_S = 60.0
LONGEST_WAIT_S = 3600.0
_RENEWALS = 4  # in the time that a lease lasts
_LOOK_EVERY_S = 1.0
_LOOKS = 10  # at an object that may be renewed at the same time
_FREE_BYTES = 32  # of the object when it is nobody's turn; a holder writes more of itself
_PROVEN: set[str] = set()  # buckets whose storage knows conditional writes


@contextmanager
def turn_to_write(lake: Lake, table: str) -> Iterator[None]:
    """Have *table* to oneself in the block, where it lies on S3 and the lake's writers take turns.

    Raises:
        LakeError: if others keep it for too long; or if it was lost meanwhile, after the block has been left.
    """
    uri = lake.lease_of(table)
    if uri is not None and uri.startswith("s3") and not is_driver(lake.spark):
        raise LakeError(
            f"{lake.place}: writers on S3 take turns, which a client of Spark Connect cannot; give --no-turns where "
            "something else keeps them apart (Databricks does), or where no other run writes."
        )
    if uri is None or not is_s3a(lake.spark, uri):
        yield
        return
    lease = _Lease(lake.spark, uri)
    try:
        lease.take()
        yield
    except BaseException:
        with suppress(Exception):  # what went wrong first is told
            lease.give_back()
        raise
    if not lease.give_back():
        raise LakeError(
            f"{lake.name_of(table)}: this run stood still for longer than its turn to write lasts, and another had a "
            f"turn, or {uri} was removed; run `parsely-spark verify`, which shows whether anything was lost, and run "
            "again."
        )


def refuse_twice(spark: SparkSession, uri: str) -> None:
    """Have the storage refuse two writes of the object at *uri*, which is there: one for each kind of condition.

    Raises:
        LakeError: if it takes one.
    """
    if any(write_object(spark, uri, uuid.uuid4().hex, instead_of=of) for of in ("no such tag", None)):
        raise LakeError(
            f"{uri}: this storage does not know conditional writes, by which runs take turns; let only one run at a "
            "time write and say so with --no-turns."
        )


class _Lease:
    """One turn at one object."""

    def __init__(self, spark: SparkSession, uri: str) -> None:
        self._spark, self._uri = spark, uri
        self._id = str(uuid.uuid4())
        self._writes = 0
        self._etag = ""
        self._stop = threading.Event()
        self._renewing = threading.Thread(target=self._renew, name=f"lease of {uri}", daemon=True)

    def take(self) -> None:
        """Wait for the turn, and keep it from then on."""
        give_up_at = time.monotonic() + LONGEST_WAIT_S
        seen, seen_at = "", 0.0
        while True:
            now = look_at_object(self._spark, self._uri)
            if now is None or now.size_bytes == _FREE_BYTES:
                if self._hold(now.etag if now else None):
                    break
            elif now.etag != seen:
                seen, seen_at = now.etag, time.monotonic()
            elif time.monotonic() - seen_at > LEASE_S and self._hold(now.etag):
                break
            if time.monotonic() > give_up_at:
                raise LakeError(
                    f"{self._uri}: {self._who()} has kept the turn to write for {LONGEST_WAIT_S / 60:.0f} minutes; "
                    "wait until that run is done, then run again."
                )
            time.sleep(_LOOK_EVERY_S * random.uniform(0.5, 1.0))
        self._prove()
        self._renewing.start()

    def _prove(self) -> None:
        """Have a request refused, once for each bucket: a storage that does not look at conditions refuses none."""
        bucket = self._uri.split("/")[2]
        if bucket in _PROVEN:
            return
        refuse_twice(self._spark, self._uri)
        _PROVEN.add(bucket)

    def give_back(self) -> bool:
        """Let the next one write; return whether nobody else had a turn meanwhile."""
        self._stop.set()
        if self._renewing.ident is not None:
            self._renewing.join()
        self._find_own()
        return bool(self._etag) and write_object(self._spark, self._uri, uuid.uuid4().hex, instead_of=self._etag)

    def _renew(self) -> None:
        while not self._stop.wait(LEASE_S / _RENEWALS):
            # Whether a request came through that was not answered is seen at the next one.
            with suppress(Exception):
                self._find_own()
                self._hold(self._etag)

    def _find_own(self) -> None:
        """Take the tag of what is there, if it is ours: a renewal may have come through whose answer did not."""
        now = look_at_object(self._spark, self._uri)
        if now is not None and now.etag != self._etag and self._id in read_object(self._spark, self._uri):
            self._etag = now.etag

    def _hold(self, instead_of: str | None) -> bool:
        self._writes += 1
        holder = {"holder": self._id, "host": socket.gethostname(), "process": os.getpid()}
        text = json.dumps({**holder, "writes": self._writes})
        if not write_object(self._spark, self._uri, text, instead_of=instead_of):
            return False
        now = look_at_object(self._spark, self._uri)
        # The tag is ours only while what we have written is there: a process may stand still between any two lines.
        if now is None or read_object(self._spark, self._uri) != text:
            return False
        self._etag = now.etag
        return True

    def _who(self) -> str:
        texts = (read_object(self._spark, self._uri) for _ in range(_LOOKS))
        try:
            said = json.loads(next(filter(None, texts), ""))  # nothing is read where it is renewed meanwhile
        except ValueError:  # it is nobody's turn just now
            return "one run after the other"
        return f"process {said['process']} on {said['host']}"
