"""The errors that callers catch by name.

Every message says what was found, what was wanted and the way out, in one sentence that can be shown to a user
as it is. Each class takes that one message, so that it survives pickling on its way from an executor.
"""

from __future__ import annotations


class ParselySparkError(Exception):
    """Base of all errors of this package; the command line turns it into one line and exit code 1."""


class SettingsError(ParselySparkError):
    """A flag, an environment variable or a settings file is wrong; the command line exits with 2."""


class SourceError(ParselySparkError):
    """The raw events cannot be listed or read."""


class FileError(SourceError):
    """One object of the raw events cannot be read; ``path`` says which."""

    path: str = ""


class VanishedFileError(FileError):
    """An object that was listed is not there any more."""


class BrokenFileError(FileError):
    """An object is no whole gzip file, or its events cannot be true."""


class LakeError(ParselySparkError):
    """The tables cannot be read, written or trusted to continue from."""


class MissingColumnsError(ParselySparkError, ValueError):
    """A transform was given a DataFrame without columns that it reads."""
