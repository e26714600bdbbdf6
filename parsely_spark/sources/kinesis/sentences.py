"""What went wrong in another process, in the sentence that was said there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from parsely_spark.errors import SourceError
from parsely_spark.jvm import FAILURES

if TYPE_CHECKING:
    from collections.abc import Iterator

_SENTENCE = re.compile(r"parsely_spark\.[\w.]+\.\w*Error: (.+)")


@contextmanager
def errors_of_workers() -> Iterator[None]:
    """Raise what a worker of ours says of the stream: where a write reads it once more, the lake could be meant.

    Raises:
        SourceError: with the sentence.
    """
    try:
        yield
    except FAILURES as error:
        if _SENTENCE.search(str(error)):
            raise in_a_sentence(error) from error
        raise


@contextmanager
def errors_of_reading() -> Iterator[None]:
    """Raise what goes wrong while nothing but the stream is read, whoever reads it; a full disk stays what it is.

    Raises:
        SourceError: with what was said.
    """
    try:
        yield
    except FAILURES as error:
        if "No space left" in str(error):
            raise
        raise in_a_sentence(error) from error


def in_a_sentence(error: Exception) -> SourceError:
    """What the planner or a worker said, without the tracebacks of the processes in between."""
    found = _SENTENCE.findall(str(error))
    return SourceError(found[-1] if found else f"The stream ended: {' '.join(str(error).split())[:500]}")
