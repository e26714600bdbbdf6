"""Where things are: what a URI names, and what can be known of it before Spark starts."""

from __future__ import annotations

import re
from pathlib import Path

from parsely_spark.errors import SettingsError

_SCHEMES = ("", "file", "s3", "s3a", "s3n", "hdfs", "abfss", "gs", "dbfs")


def scheme_of(uri: str) -> str:
    """The scheme of *uri* in lower case; empty for a plain path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):/", uri)
    return match[1].lower() if match else ""


def local_path(uri: str) -> Path | None:
    """The local path that *uri* names; None where it is none."""
    scheme = scheme_of(uri)
    if scheme == "file":
        return Path(re.sub(r"^file:/+", "/", uri, flags=re.IGNORECASE))
    return Path(uri) if scheme == "" else None


def absolute(uri: str) -> str:
    """*uri* with a local path made absolute, because Spark's working folder need not be ours."""
    path = local_path(uri)
    return uri if path is None else str(path.expanduser().absolute())


def check_uri(key: str, uri: str) -> None:
    """Refuse a *uri* that no file system of Spark's can read; *key* is the setting that holds it."""
    scheme = scheme_of(uri)
    if scheme not in _SCHEMES:
        raise SettingsError(f"{key}={uri!r} has the scheme {scheme}://; write a local path, s3a:// or s3://.")
    if scheme.startswith("s3") and not re.match(r"s3[an]?://[^/]+", uri, re.IGNORECASE):
        raise SettingsError(f"{key}={uri!r} names no bucket; write {scheme}://bucket/prefix.")


def check_local_source(source: str) -> None:
    """Refuse a local *source* that holds no raw events."""
    path = local_path(source)
    if path is None:
        return
    if not path.exists():
        raise SettingsError(f"source={source} does not exist; give the events/ prefix or the folder above it.")
    if not path.is_dir():
        raise SettingsError(f"source={source} is a file; give the folder above its YYYY/MM/DD/HH folders.")
    below = [path, path / "events"]
    if not any(re.fullmatch(r"\d{4}", entry.name) for top in below if top.is_dir() for entry in top.iterdir()):
        raise SettingsError(
            f"source={source} has no YYYY/MM/DD folders; give the events/ prefix or the folder above it."
        )
