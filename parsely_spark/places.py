"""Where things are: what a URI names, and what can be known of it before Spark starts.

Every check takes as *where* what the setting is called in the place it comes from (a flag, a variable, a key of
a file), so that its message sends the reader there.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from parsely_spark.errors import SettingsError

_SCHEMES = ("", "file", "s3", "s3a", "s3n", "hdfs", "abfss", "gs", "dbfs")
_DAY = re.compile(r"/\d{4}/\d{2}/\d{2}(/|$)")
_TOWARDS_A_DAY = re.compile(r"events|\d{4}|\d{2}")
_CSV = re.compile(r"[^/]\.csv(\.gz)?$", re.IGNORECASE)


def scheme_of(uri: str) -> str:
    """The scheme of *uri* in lower case; empty for a plain path."""
    match = re.match(r"([A-Za-z][A-Za-z0-9+.-]*):", uri)
    return match[1].lower() if match else ""


def local_path(uri: str) -> Path | None:
    """The local path that *uri* names; None where it is none."""
    scheme = scheme_of(uri)
    if scheme == "file":
        return Path(re.sub(r"^/+", "/", uri[len("file:") :]))
    return Path(uri) if scheme == "" else None


def absolute(uri: str) -> str:
    """*uri* with a local path made absolute and called one.

    Spark's working folder need not be ours, and where HDFS is the default, Spark takes a plain path for one of its.
    """
    path = local_path(uri)
    return uri if path is None else f"file:{path.absolute()}"


def is_within(uri: str, folder: str) -> bool:
    """Whether *uri* is *folder* or lies in it."""
    return f"{_normal(uri)}/".startswith(f"{_normal(folder)}/")


def _normal(uri: str) -> str:
    path = local_path(uri)
    if path is not None:
        return os.path.realpath(path)
    return re.sub(r"^s3[an]?:", "s3:", uri, flags=re.IGNORECASE).rstrip("/")


def check_uri(where: str, uri: str) -> None:
    """Refuse a *uri* that no file system of Spark's can read."""
    scheme = scheme_of(uri)
    if scheme not in _SCHEMES:
        raise SettingsError(f"{where}={uri!r} has the unknown scheme {scheme}:; write a local path, s3a:// or s3://.")
    if scheme.startswith("s3"):
        bucket = re.match(r"s3[an]?://([^/]+)", uri, re.IGNORECASE)
        if not bucket:
            raise SettingsError(f"{where}={uri!r} names no bucket; write {scheme}://bucket/prefix.")
        if "@" in bucket[1]:
            # The value is not shown: what stands before the @ is a secret.
            raise SettingsError(
                f"{where} has keys in its URI, which end up in logs; give them as other AWS tools have them."
            )


def check_endpoint(where: str, url: str) -> None:
    """Refuse what is not the address of a server."""
    if not re.fullmatch(r"https?://[^/?#@\s]+/?", url):
        raise SettingsError(f"{where}={url!r} is not the address of a server; write http://host:port or https://host.")


def check_folder(where: str, uri: str) -> None:
    """Refuse a *uri* that is no folder and cannot become one."""
    check_uri(where, uri)
    if "`" in uri:
        raise SettingsError(f"{where}={uri!r} has a ` in it, which Spark does not take in a table's name; rename it.")
    path = local_path(uri)
    if path is None:
        return
    nearest = nearest_there(path)
    if not nearest.is_dir():
        found = "is a file" if nearest == path else f"lies below {nearest}, which is a file"
        raise SettingsError(f"{where}={uri!r} {found}; name a folder, which may be new.")


def check_local_folder(where: str, path: str) -> None:
    """Refuse a *path* that is no folder of this machine which can be written to."""
    if scheme_of(path):
        raise SettingsError(
            f"{where}={path!r} is a URI, but this is written to the machine at hand; name a local folder."
        )
    check_folder(where, path)
    nearest = nearest_there(Path(path))
    if not os.access(nearest, os.W_OK):
        raise SettingsError(f"{where}={path!r} cannot be written; name a folder that you may write to.")


def nearest_there(path: Path) -> Path:
    """*path*, or the nearest folder above it that exists."""
    return next(place for place in (path, *path.absolute().parents) if os.path.exists(place))


def check_new_bucket(where: str, path: str) -> None:
    """Refuse a *path* where made-up raw events would mix with others."""
    check_local_folder(where, path)
    events = Path(path, "events")
    if events.exists() and not (events.is_dir() and not any(events.iterdir())):
        raise SettingsError(f"{where}={path!r} has raw events in it already; name a new folder or delete it.")


def check_new_file(where: str, path: str) -> None:
    """Refuse a *path* of this machine at which no file can be written."""
    if scheme_of(path):
        raise SettingsError(
            f"{where}={path!r} is a URI, but this is written to the machine at hand; name a local file."
        )
    file = Path(path)
    if file.is_dir() or path.endswith("/"):
        raise SettingsError(f"{where}={path!r} is a folder; name a file in it.")
    if not file.absolute().parent.is_dir():
        raise SettingsError(f"{where}={path!r} lies in a folder that does not exist; make it, or name another file.")
    if not os.access(file if file.exists() else file.absolute().parent, os.W_OK):
        raise SettingsError(f"{where}={path!r} cannot be written; name a file that you may write.")


def is_csv(uri: str) -> bool:
    """Whether *uri* is, by its name, a file of comma-separated values."""
    return _CSV.search(uri) is not None


def check_raw_events(where: str, uri: str) -> None:
    """Refuse a local *uri* under which there are no raw events."""
    check_uri(where, uri)
    path = local_path(uri)
    if path is None:
        return
    way_out = "give the events/ prefix of the raw events or the folder above it"
    if not os.path.exists(path):
        raise SettingsError(f"{where}={uri!r} does not exist; {way_out}.")
    if not path.is_dir():
        if is_csv(uri):
            return
        raise SettingsError(f"{where}={uri!r} is a file and no *.csv; {way_out}.")
    try:
        has_days = _has_days(path.absolute())
    except OSError as error:
        raise SettingsError(f"{where}={uri!r} cannot be listed ({error.strerror}); {way_out}.") from error
    if not has_days:
        raise SettingsError(f"{where}={uri!r} has no YYYY/MM/DD folders; {way_out}.")


def _has_days(folder: Path, deeper: int = len(("events", "YYYY", "MM", "DD"))) -> bool:
    """Whether *folder* is or contains a day's; stops at the first and opens only what can lead to one."""
    if _DAY.search(folder.as_posix()):
        return True
    if deeper == 0:
        return False
    with os.scandir(folder) as entries:
        below = [entry.path for entry in entries if _TOWARDS_A_DAY.fullmatch(entry.name) and entry.is_dir()]
    return any(_has_days(Path(path), deeper - 1) for path in below)


def check_catalog(where: str, name: str) -> None:
    """Refuse what is no schema of a catalog."""
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)?", name):
        raise SettingsError(f"{where}={name!r} is not a name such as main.parsely; write catalog.schema.")


def literally(uri: str) -> str:
    """*uri* with what Spark would take for a pattern escaped."""
    return re.sub(r"([\\{}\[\]*?])", r"\\\1", uri)
