"""S3 for the tests, on this machine: moto's server, which checks keys and policies, and one that refuses like AWS."""

from __future__ import annotations

import gzip
import http.client
import json
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import contextmanager
from dataclasses import dataclass, field
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import boto3

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession

START_MS = 1_763_800_200_000  # 2025-11-22 08:30 UTC


def event_line(number: int, **fields: object) -> str:
    """The JSON line of one pageview: the fields without which it would be none, and *fields*."""
    at = START_MS + 1000 * number
    event: dict[str, object] = {"event_id": f"event-{number}", "apikey": "x.com", "action": "pageview"}
    event |= {"timestamp_info_nginx_ms": at, "ts_action": at, "url": "https://x.com/", "url_clean": "https://x.com/"}
    event |= {"visitor_site_id": f"visitor-{number % 7}", "session_id": 1, "session_timestamp": START_MS}
    return json.dumps(event | fields)


def chunk(numbers: range) -> bytes:
    """A gzip file with one event for each of *numbers*."""
    return gzip.compress("".join(f"{event_line(number)}\n" for number in numbers).encode())


@dataclass(frozen=True)
class Keys:
    """What a request is signed with. The token is there for a role that somebody has assumed."""

    access_key: str
    secret_key: str = field(repr=False)
    session_token: str | None = field(default=None, repr=False)


class Moto:
    """A running moto server, seen by the owner of its account."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.owner: Keys | None = None

    def client(self, service: str) -> Any:
        """A boto3 client of *service* that may do anything."""
        owner = self.owner or Keys("owner", "of the account")
        keys = {"aws_access_key_id": owner.access_key, "aws_secret_access_key": owner.secret_key}
        return boto3.client(service, endpoint_url=self.url, region_name="us-east-1", **keys)

    def put(self, bucket: str, **objects: bytes) -> None:
        """Make *bucket* with *objects*, whose names have __ for each slash and no suffix: .gz is added."""
        s3 = self.client("s3")
        s3.create_bucket(Bucket=bucket)
        for name, body in objects.items():
            s3.put_object(Bucket=bucket, Key=name.replace("__", "/") + ".gz", Body=body)

    def user(self, name: str, *allowed: dict[str, object]) -> Keys:
        """A user who may do what the statements *allowed* say, and nothing else."""
        iam = self.client("iam")
        iam.create_user(UserName=name)
        iam.put_user_policy(UserName=name, PolicyName="allowed", PolicyDocument=_policy(*allowed))
        made = iam.create_access_key(UserName=name)["AccessKey"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"])

    def role(self, name: str, *allowed: dict[str, object]) -> Keys:
        """The temporary keys of one who has assumed the role *name*."""
        iam = self.client("iam")
        trust: dict[str, object] = {"Effect": "Allow", "Principal": "*", "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        iam.put_role_policy(RoleName=name, PolicyName="allowed", PolicyDocument=_policy(*allowed))
        made = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="test")["Credentials"]
        return Keys(made["AccessKeyId"], made["SecretAccessKey"], made["SessionToken"])

    def check_requests(self) -> None:
        """From now on, take no request without a valid signature and a policy that allows it."""
        self.owner = self.user("owner", allow("*", "*"))
        self._check_after(b"0")

    @contextmanager
    def checks_nothing(self) -> Iterator[None]:
        """Take every request in the block."""
        self._check_after(b"inf")
        try:
            yield
        finally:
            self._check_after(b"0")

    def _check_after(self, requests: bytes) -> None:
        headers = {"Content-Type": "text/plain"}
        urllib.request.urlopen(urllib.request.Request(f"{self.url}/moto-api/reset-auth", requests, headers)).close()


def point(spark: SparkSession, bucket: str, url: str, keys: Keys | None) -> None:
    """Tell the session with which *keys* and where to reach *bucket*.

    A file system is made once for a scheme and a bucket, so each case has a bucket of its own.
    """
    settings = {"endpoint": url, "endpoint.region": "us-east-1"}
    settings |= {"path.style.access": "true", "connection.ssl.enabled": "false"}
    if keys:
        settings |= {"access.key": keys.access_key, "secret.key": keys.secret_key}
    if keys and keys.session_token:
        settings["session.token"] = keys.session_token
    for key, value in settings.items():
        spark.conf.set(f"fs.s3a.bucket.{bucket}.{key}", value)


def allow(actions: str, resource: str) -> dict[str, object]:
    """A policy statement; *actions* are separated by spaces."""
    return {"Effect": "Allow", "Action": actions.split(), "Resource": resource}


def _policy(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@contextmanager
def moto() -> Iterator[Moto]:
    """Moto's own server, in a process of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", "from moto.server import main; main()", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(port, server)
        yield Moto(f"http://127.0.0.1:{port}")
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    for _ in range(300):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        assert server.poll() is None, "moto's server has ended; port taken?"
        time.sleep(0.1)
    raise TimeoutError("moto's server does not listen after 30 s")


@contextmanager
def _listening(handler: type[BaseHTTPRequestHandler]) -> Iterator[str]:
    """The URL of a server of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


# What AWS answers and moto does not: status, code, message, headers. The bucket's name chooses one.
REFUSALS: dict[str, tuple[int, str, str, dict[str, str]]] = {
    "moved": (
        301,
        "PermanentRedirect",
        "The bucket you are attempting to access must be addressed using the specified endpoint.",
        {"x-amz-bucket-region": "eu-west-1"},
    ),
    "malformed": (
        400,
        "AuthorizationHeaderMalformed",
        "The authorization header is malformed; the region 'us-east-1' is wrong; expecting 'eu-west-1'",
        {},
    ),
    "expired": (400, "ExpiredToken", "The provided token has expired.", {}),
}


class _Refuse(BaseHTTPRequestHandler):
    def _refuse(self) -> None:
        status, code, message, headers = REFUSALS[self.path.strip("/").split("/")[0].split("?")[0]]
        body = f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":  # so a HEAD request is never told the reason
            self.wfile.write(body)

    do_GET = do_HEAD = do_PUT = do_POST = _refuse

    def log_message(self, *_: object) -> None:
        """Say nothing: the requests are not what a test is about."""


@contextmanager
def refusing() -> Iterator[str]:
    """The URL of a server that refuses every request as AWS would."""
    with _listening(_Refuse) as url:
        yield url


class _HandsOn(BaseHTTPRequestHandler):
    """Hands requests on to another server."""

    protocol_version = "HTTP/1.1"
    server_url: str
    drops: tuple[str, ...] = ()  # headers, in small letters, that the other server does not get to see

    def _lets_through(self) -> bool:
        """Whether a request is handed on; one that is not has been answered."""
        return True

    def _hand_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self._lets_through():
            return
        headers = {name: value for name, value in self.headers.items() if name.lower() not in self.drops}
        connection = http.client.HTTPConnection(self.server_url.removeprefix("http://"))
        connection.request(self.command, self.path, body, headers)
        answer = connection.getresponse()
        content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "connection", "server", "date", "content-length"):
                self.send_header(name, value)
        length = answer.getheader("Content-Length") if self.command == "HEAD" else None
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        self.wfile.write(content)
        connection.close()

    def _lets_through(self) -> bool:
        """Whether the request is handed on; else it is answered by now."""
        return True

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _hand_on

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def _in_front(handler: type[_HandsOn], **attributes: object) -> Iterator[str]:
    """The URL of a server of *handler* with these *attributes*."""
    with _listening(type("Handler", (handler,), attributes)) as url:
        yield url


class _SlowCommits(_HandsOn):
    """Commits of Delta go on half a second later, or when another comes to the same."""

    meeting: str
    met: threading.Barrier

    def _lets_through(self) -> bool:
        if self.command == "PUT" and self.path.split("?")[0].endswith(self.meeting):
            self.met.wait()
        elif self.command == "PUT" and "/_delta_log/" in self.path:
            time.sleep(0.5)
        return True


@contextmanager
def slow_commits(url: str, meeting: str) -> Iterator[str]:
    """The server at *url* with half a second between Delta's look at its log and its commit; yields the URL of that.

    Two writers of the object *meeting* wait for each other: each has seen then that the other has not written it.
    """
    with _in_front(_SlowCommits, server_url=url, meeting=meeting, met=threading.Barrier(2, timeout=60)) as in_front:
        yield in_front


class _NoKeys(_HandsOn):
    """Requests to one bucket must not be signed, those to others have to be."""

    bucket: str

    def _lets_through(self) -> bool:
        is_of_bucket = self.path.split("?")[0].strip("/").split("/")[0] == self.bucket
        if is_of_bucket != ("Authorization" in self.headers):
            return True
        body = b"" if self.command == "HEAD" else b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
        self.send_response(403)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
        return False


@contextmanager
def no_keys(url: str, bucket: str) -> Iterator[str]:
    """The server at *url*, where *bucket* is read by requests without a signature only, and the rest by signed ones."""
    with _in_front(_NoKeys, server_url=url, bucket=bucket) as in_front:
        yield in_front


@contextmanager
def without_conditions(url: str) -> Iterator[str]:
    """The server at *url* as one that passes over the conditions of writes; yields the URL of that."""
    with _in_front(_HandsOn, server_url=url, drops=("if-none-match", "if-match")) as careless:
        yield careless


@contextmanager
def telling_time(skew_s: float) -> Iterator[str]:
    """The URL of a server that refuses every request and is so many seconds ahead of this machine."""

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.send_response_only(403)
            self.send_header("Date", formatdate(time.time() + skew_s, usegmt=True))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

    with _listening(Handler) as url:
        yield url
