"""What went wrong in another process, in the sentence that was said there."""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pyspark.errors import PySparkException

from parsely_spark.errors import SourceError

if TYPE_CHECKING:
    from collections.abc import Iterator

_SENTENCE = re.compile(r"parsely_spark\.[\w.]+\.\w*Error: (.+)")


@contextmanager
def errors_of_workers() -> Iterator[None]:
    """Raise what a worker of ours says of the stream: where reading is writing, the lake could be meant as well.

    Raises:
        SourceError: with the sentence.
    """
    try:
        yield
    except PySparkException as error:
        if _SENTENCE.search(str(error)):
            raise in_a_sentence(error) from error
        raise


def in_a_sentence(error: PySparkException) -> SourceError:
    """What the planner or a worker said, without the tracebacks of the processes in between."""
    found = _SENTENCE.findall(str(error))
    return SourceError(found[-1] if found else f"The stream ended: {' '.join(str(error).split())[:500]}")
