"""Writes the report of a lake into a file, and tells in a few numbers what is in it."""

from __future__ import annotations

import os
import tempfile
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from parsely_spark.report.figures import unexplained
from parsely_spark.report.gather import gather
from parsely_spark.report.page import page

if TYPE_CHECKING:
    from datetime import date

    from parsely_spark.progress import Progress
    from parsely_spark.report.figures import Figures
    from parsely_spark.report.period import Asked
    from parsely_spark.tables.catalog import Lake


@dataclass(frozen=True, kw_only=True)
class Written:
    """What was written, and the first numbers of it.

    Attributes:
        path: the file.
        size_bytes: its size.
        since: the first local date.
        until: the first that does not count any more.
        timezone: of both.
        sites: that it shows.
        more_sites: how many others have events in the period.
        missing_tables: derived tables that the lake has not.
        events: in the period.
        pageviews: without those of bots, as all that follow.
        visitors: likewise.
        sessions: likewise.
        engaged_s: likewise.
        unexplained_lines: of all runs, by the account of each line.
        unequal_sums: of tables, beside those of the events.
        seconds: that it took.
    """

    path: str
    size_bytes: int
    since: date
    until: date
    timezone: str
    sites: list[str]
    more_sites: int
    missing_tables: list[str]
    events: int
    pageviews: int
    visitors: int
    sessions: int
    engaged_s: int
    unexplained_lines: int
    unequal_sums: int
    seconds: float


def write_report(lake: Lake, asked: Asked, out: str, progress: Progress) -> Written:
    """Look at *lake* and write what there is to see to the file *out*, which is whole or as it was before.

    Raises:
        LakeError: if there is nothing to look at, or the tables cannot be read.
        SettingsError: if the period is wrong.
    """
    start = time.monotonic()
    figures = gather(lake, asked, progress)
    with progress.step("page") as step:
        html = page(figures).encode("utf-8")
        path = Path(out).absolute()
        _put(path, html)
        step.note(f"{len(html) // 1024:,} KiB, {path}")
    return _told(figures, str(path), len(html), time.monotonic() - start)


def _put(path: Path, content: bytes) -> None:
    descriptor, beside = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}-")
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        # As any other new file: what mkstemp makes is for its owner alone.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(beside, 0o666 & ~umask)
        os.replace(beside, path)
    except BaseException:
        with suppress(FileNotFoundError):
            os.unlink(beside)
        raise


def _told(figures: Figures, path: str, size_bytes: int, seconds: float) -> Written:
    total = figures.all_sites.total
    return Written(
        path=path,
        size_bytes=size_bytes,
        since=figures.period.since,
        until=figures.period.until,
        timezone=figures.period.timezone,
        sites=[str(site.apikey) for site in figures.sites],
        more_sites=len(figures.more_sites),
        missing_tables=sorted(figures.missing),
        events=round(total("events")),
        pageviews=round(total("audience pageviews")),
        visitors=round(total("audience visitors")),
        sessions=round(total("session sessions")),
        engaged_s=round(total("audience engaged_s")),
        unexplained_lines=unexplained(figures.lake.account),
        unequal_sums=sum(not balance.is_right for balance in figures.lake.balances),
        seconds=round(seconds, 1),
    )
