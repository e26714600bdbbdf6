"""The only module that asks AWS about Kinesis: paced, with another try where that helps, and one sentence where not."""

from __future__ import annotations

import random
import re
import threading
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from parsely_spark.errors import SourceError
from parsely_spark.sources.kinesis.stream import (
    About,
    ExpiredIteratorError,
    GoneShardError,
    Page,
    Record,
    Shard,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from parsely_spark.kinesis_settings import KinesisSettings
    from parsely_spark.sources.kinesis.stream import Position

_THROTTLES = (
    *("ProvisionedThroughputExceededException", "LimitExceededException", "KMSThrottlingException"),
    *("ThrottlingException", "Throttling"),
)
_ON_THE_WAY = ("InternalFailure", "ServiceUnavailable", "RequestTimeout", "500", "502", "503", "504")
_FIRST_WAIT_S, _LONGEST_WAIT_S = 0.5, 10.0
_SHARD_BYTES_PER_S = 2 * 2**20  # that AWS gives; after a page of 10 MiB, it refuses calls for 5 s
_KINDS = {"after": "AFTER_SEQUENCE_NUMBER", "at": "AT_SEQUENCE_NUMBER", "since": "AT_TIMESTAMP"}


class KinesisStream:
    """A stream of AWS, or of a server that speaks like it.

    Args:
        options: which, and how to read it.
    """

    def __init__(self, options: KinesisSettings) -> None:
        self.name = options.stream
        self._options = options
        self._client = _client(options)
        self._pace = _Pace(options.spacing_ms / 1000)
        self._iterator_pace = _Pace(options.spacing_ms / 1000)  # AWS counts them by themselves
        self._clock: tuple[float, float] | None = None  # the stream's, epoch s, and ours at that moment, monotonic

    @property
    def address(self) -> str:
        """The URL of the server."""
        return str(self._client.meta.endpoint_url)

    def now_ms(self) -> int:
        """The stream's clock, epoch ms; it may be up to a second late, and is never early."""
        if self._clock is None:
            self.about()
        assert self._clock is not None
        theirs, ours = self._clock
        return round((theirs + time.monotonic() - ours) * 1000)

    def about(self) -> About:
        """When it was made, and for how long it keeps records."""
        said = self._ask("DescribeStreamSummary", self._client.describe_stream_summary, **self._options.name_or_arn)
        summary = said["StreamDescriptionSummary"]
        created_ms = round(summary["StreamCreationTimestamp"].timestamp() * 1000)
        return About(created_ms=created_ms, retention_ms=summary["RetentionPeriodHours"] * 3_600_000)

    def shards(self) -> list[Shard]:
        """All shards that still hold records, and all open ones."""
        found: list[Shard] = []
        which = self._options.name_or_arn
        while True:
            said = self._ask("ListShards", self._client.list_shards, **which)
            found += [
                Shard(id=shard["ShardId"], last=shard["SequenceNumberRange"].get("EndingSequenceNumber"))
                for shard in said["Shards"]
            ]
            if "NextToken" not in said:
                return found
            which = {"NextToken": said["NextToken"]}  # the name must not be given with it

    def iterator(self, shard: str, position: Position) -> str:
        """An iterator, good for five minutes.

        Raises:
            GoneShardError: if the stream has let go of the shard.
        """
        kind, value = position
        where: dict[str, Any] = {"ShardIteratorType": _KINDS.get(kind, "TRIM_HORIZON")}
        if kind == "since":
            where["Timestamp"] = value / 1000  # type: ignore[operator]  # a time is a number
        elif value is not None:
            where["StartingSequenceNumber"] = value
        get = self._iterator_pace.kept(shard, self._client.get_shard_iterator)
        said = self._ask("GetShardIterator", get, **self._options.name_or_arn, ShardId=shard, **where)
        return str(said["ShardIterator"])

    def page(self, shard: str, iterator: str, limit: int | None = None) -> Page:
        """The records at *iterator*, *limit* at most.

        Raises:
            ExpiredIteratorError: if the iterator is too old.
        """
        most = {} if limit is None else {"Limit": limit}
        by_arn = {name: value for name, value in self._options.name_or_arn.items() if name == "StreamARN"}
        get = self._pace.kept(shard, self._client.get_records)
        said = self._ask("GetRecords", get, **by_arn, ShardIterator=iterator, **most)
        records = [
            Record(
                record["SequenceNumber"],
                round(record["ApproximateArrivalTimestamp"].timestamp() * 1000),
                record["Data"],
                record.get("PartitionKey"),
            )
            for record in said["Records"]
        ]
        self._pace.rest(shard, sum(len(record.data) for record in records) / _SHARD_BYTES_PER_S)
        return Page(records=records, behind_ms=said.get("MillisBehindLatest", 0), next=said.get("NextShardIterator"))

    def _ask(self, action: str, call: Callable[..., Any], **given: Any) -> Any:
        """Make *call*, again where it was refused because of its rate or failed on the way."""
        from botocore.exceptions import (
            BotoCoreError,
            ClientError,
            ConnectionError,
            HTTPClientError,
            IncompleteReadError,
        )

        deadline: float | None = None  # from the first failure on: before it, the call may have waited its turn
        wait_s = _FIRST_WAIT_S
        while True:
            try:
                said = call(**given)
            except (BotoCoreError, ClientError) as error:
                code = error.response["Error"]["Code"] if isinstance(error, ClientError) else ""
                if code == "ExpiredIteratorException":
                    raise ExpiredIteratorError from error
                if code == "ResourceNotFoundException" and "shardid-" in str(error).lower():
                    raise GoneShardError(f"{self.name} has let go of {given.get('ShardId')}; run again.") from error
                is_on_the_way = isinstance(error, (ConnectionError, HTTPClientError, IncompleteReadError))
                is_passing = is_on_the_way or code in _THROTTLES or code in _ON_THE_WAY
                deadline = deadline or time.monotonic() + self._options.retry_s
                if not is_passing or time.monotonic() + wait_s > deadline:
                    raise SourceError(self._why(action, code, error)) from error
                time.sleep(wait_s * random.uniform(0.5, 1.0))
                wait_s = min(_LONGEST_WAIT_S, 2 * wait_s)
            else:
                date = said["ResponseMetadata"]["HTTPHeaders"].get("date")
                if date:
                    self._clock = (parsedate_to_datetime(date).timestamp(), time.monotonic())
                return said

    def _why(self, action: str, code: str, error: Exception) -> str:
        text = str(error)
        if code == "ResourceNotFoundException":
            where = self._client.meta.region_name
            return f"There is no stream {self.name} in {where}; give its name or ARN, and the --region it is in."
        if code.startswith("AccessDenied"):
            # The keys of a role are asked for within a call.
            is_role = getattr(error, "operation_name", action) == "AssumeRole"
            missing = f"sts:AssumeRole on {self._options.role_arn}" if is_role else f"kinesis:{action}"
            return f"{self.name}: reading it is not allowed; what is missing is {missing} for whoever runs this."
        if code == "InvalidArgumentException" and "did not come from this stream" in text:
            return (
                f"The stream {self.name} was deleted and made again, and the checkpoint knows the old one; give a new "
                "checkpoint, and let `parsely-spark batch` bring in the time in between."
            )
        if code in _THROTTLES:
            return (
                f"{self.name}: AWS refused {action} for {self._options.retry_s} s because of its rate; other readers "
                "use the same shards, so give the stream more of them, or this reader a larger --spacing-ms."
            )
        if "Credential" in type(error).__name__:
            return _no_keys(self._options, text)
        if "Invalid header value" in text:  # which the text goes on to show
            return f"{self.name}: a line break or the like is in the keys of AWS; give them without."
        # A signature that AWS cannot read is shown by it.
        shown = re.sub(r"Credential=[^\s,]+", "Credential=***", text)
        return f"{self.name}: {action} failed: {' '.join(shown.split())[:500]}"


class _Pace:
    """Keeps calls for one shard apart, whichever thread makes them."""

    def __init__(self, spacing_s: float) -> None:
        self._spacing_s = spacing_s
        self._next: dict[str, float] = {}
        self._lock = threading.Lock()

    def kept(self, shard: str, call: Callable[..., Any]) -> Callable[..., Any]:
        """*call*, which then waits its turn each time, also when it is made again."""

        def paced(**given: Any) -> Any:
            self._wait(shard)
            return call(**given)

        return paced

    def rest(self, shard: str, seconds: float) -> None:
        """Leave the *shard* alone for so long."""
        with self._lock:
            self._next[shard] = max(self._next.get(shard, 0.0), time.monotonic() + seconds)

    def _wait(self, shard: str) -> None:
        with self._lock:
            now = time.monotonic()
            at = max(now, self._next.get(shard, now))
            self._next[shard] = at + self._spacing_s
        time.sleep(at - now)


def who_gave_keys(options: KinesisSettings) -> str:
    """Which of boto3's ways to keys has led to some, such as env; the keys themselves are not looked at.

    Raises:
        SourceError: if none has.
    """
    from botocore.exceptions import BotoCoreError

    try:
        found = _session(options).get_credentials()
    except BotoCoreError as error:  # such as a login that has expired
        raise SourceError(_no_keys(options, str(error))) from error
    if found is None:
        raise SourceError(_no_keys(options, "none of the usual places has any"))
    return str(found.method)


def _session(options: KinesisSettings) -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        session = boto3.Session(region_name=options.region or options.region_of_arn)
    except BotoCoreError as error:  # such as a profile that is in no file
        raise SourceError(_no_keys(options, str(error))) from error
    if options.role_arn is not None:
        _assume(session, options, options.role_arn)
    return session


def _client(options: KinesisSettings) -> Any:
    from botocore.config import Config

    session = _session(options)
    # Tries are ours to make, so that each counts as a call.
    config = Config(retries={"mode": "standard", "total_max_attempts": 1}, max_pool_connections=32)
    try:
        return session.client("kinesis", endpoint_url=options.endpoint_url, config=config)
    except Exception as error:  # of many kinds: no region, no such endpoint
        raise SourceError(f"{options.stream}: {error} Give --region, and keys as other AWS tools have them.") from error


def _no_keys(options: KinesisSettings, why: str) -> str:
    return (
        f"{options.stream}: no keys of AWS were found ({' '.join(why.split())[:300]}); give them as other AWS tools "
        "have them: in the environment, in a profile, or as the role of the machine."
    )


def _assume(session: Any, options: KinesisSettings, role_arn: str) -> None:
    """Have *session* use the role, whose keys last an hour and are renewed."""
    from botocore.credentials import AssumeRoleCredentialFetcher, DeferredRefreshableCredentials

    core = session._session
    own = core.get_credentials()
    if own is None:
        raise SourceError(_no_keys(options, f"to assume {role_arn} with"))
    fetcher = AssumeRoleCredentialFetcher(
        core.create_client, own, role_arn, extra_args={"RoleSessionName": "parsely-spark"}
    )
    core._credentials = DeferredRefreshableCredentials(method="assume-role", refresh_using=fetcher.fetch_credentials)
