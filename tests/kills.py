"""What a kill leaves of a run in this process, which goes on: at a point of `crash.py` its files are copied.

The driver stands at such a point and no job is under way, so what then lies in the folder is what SIGKILL leaves there.
That this is so, the tests show at some points by killing a process. Whatever the run does while it ends, it does to a
folder that nobody looks at again; and whatever Spark remembers of that, it remembers of its path.
"""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from parsely_spark import crash
from parsely_spark.errors import ParselySparkError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Killed(Exception):
    """Ends a run; nothing in the package catches it."""


@contextmanager
def killed_at(point: str, folder: Path, left: Path) -> Iterator[None]:
    """End the run in the block at *point*, at which what it has in *folder* is copied to *left*."""

    def die() -> None:
        _copy(folder, left)
        raise Killed(point)

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(crash.VARIABLE, point)
        patch.setattr(crash, "die", die)
        # What ends a batch of a stream, Spark throws again in words of its own.
        with pytest.raises((Killed, ParselySparkError)):
            yield
    assert left.exists(), f"the run did not come to {point}"


def files_in(folder: Path) -> list[str]:
    """The names of all files, but for what is chosen by chance in them."""
    return sorted(_UUID.sub("*", name) for name in _names(folder))


def _names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def _copy(folder: Path, left: Path) -> None:
    """Copy what is there at one moment: a stream may fold what came before while it stands in a batch."""
    while True:
        before = _names(folder)
        with suppress(shutil.Error):  # a file has gone meanwhile
            shutil.copytree(folder, left)
            if before == _names(folder) == _names(left):
                return
        shutil.rmtree(left)
