"""How a JVM starts here: told by a file what nobody else may read, and without the noise that it begins with."""

from __future__ import annotations

import os
import re
import shlex
import sys
import threading
from contextlib import contextmanager
from tempfile import NamedTemporaryFile
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

# Lines that the JVM prints before any log level holds, and that say nothing to a user.
_NOISE = re.compile(
    r"^(WARNING: (Using incubator|A terminally|sun\.misc|Please consider)"
    r"|Setting (default|Spark) log level|To adjust log|Picked up _?\w*JAVA\w*OPTIONS|Warning: Java versions > Java 11)"
)
_ARGUMENTS = "PYSPARK_SUBMIT_ARGS"
# Which settings are secret, in words that Java knows, too: what spark.redaction.regex is by default, and the keys of
# stores that it does not know, such as fs.azure.account.key.NAME and fs.s3a.encryption.key. Those only where a text
# begins as a setting of theirs does: Spark looks for it in values, too, and hides such properties of a table from us.
SECRET = (
    "(?i)secret|password|token|access[.]?key"
    "|^(spark|d?fs|google)[.].*(key([.]|$)|private[.]?key|passphrase|[.]pass$|credential$|[.]sas[.]|connection[.]?string)"
)
_SECRET = re.compile(SECRET)


@contextmanager
def only_in_a_file(settings: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Have the JVM that is started in the block read the secret ones of *settings* from a file of this user's.

    PySpark hands over a setting as a word of the JVM's command, and everyone on a machine can list those.

    Returns:
        The others, to be handed over as ever.
    """
    secret = {key: value for key, value in settings.items() if _SECRET.search(key)}
    if not secret:
        yield dict(settings)
        return
    before = os.environ.get(_ARGUMENTS)
    with NamedTemporaryFile("w", encoding="utf-8", prefix="parsely_spark-", suffix=".properties") as file:
        file.writelines(f"{key}={_escaped(value)}\n" for key, value in secret.items())
        file.flush()
        # A file that is named takes the place of spark-defaults.conf, unless both are asked for.
        words = f"--load-spark-defaults --properties-file {shlex.quote(file.name)}"
        os.environ[_ARGUMENTS] = f"{words} {before or 'pyspark-shell'}"
        try:
            yield {key: value for key, value in settings.items() if key not in secret}
        finally:
            if before is None:
                del os.environ[_ARGUMENTS]
            else:
                os.environ[_ARGUMENTS] = before


def _escaped(value: str) -> str:
    """The *value* as a file of Java properties has it, where a backslash begins something else."""
    return value.replace("\\", "\\\\").replace("\n", "\\n")


@contextmanager
def passed_on() -> Iterator[None]:
    """Give a JVM that starts in the block a standard error of its own, and pass on what is worth reading.

    Its first warnings come before any log setting holds, so they can only be taken out on their way.
    """
    sys.stderr.flush()
    ours = os.dup(2)
    readable, writable = os.pipe()
    os.dup2(writable, 2)
    os.close(writable)
    threading.Thread(target=_pass_on, args=(readable, ours), daemon=True).start()
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(ours, 2)


def _pass_on(readable: int, ours: int) -> None:
    with os.fdopen(readable, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not _NOISE.match(line):
                os.write(ours, line.encode())
