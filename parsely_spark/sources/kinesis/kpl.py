"""Records that the Kinesis Producer Library has put together: one record of the stream that holds many.

The format is public and has not changed since 2014 (`aggregation-format.md` of `awslabs/amazon-kinesis-producer`):
four bytes of magic, a protobuf message, and its MD5. The message is a table of partition keys (field 1), one of
explicit hash keys (2) and the records (3), each with the number of its key (1) and its data (3). The one library for it
in Python is unmaintained and prints to standard output, and protobuf for four numbers is a dependency too many.
"""

from __future__ import annotations

from hashlib import md5
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from parsely_spark.sources.kinesis.stream import Record

MAGIC = b"\xf3\x89\x9a\xc2"
_DIGEST_BYTES = 16
_VARINT, _FIXED_64, _BYTES, _FIXED_32 = 0, 1, 2, 5


def records_of(record: Record) -> list[tuple[bytes, str | None]]:
    """Data and partition key of each record in *record*: of itself, where it is no aggregate or a broken one."""
    itself: list[tuple[bytes, str | None]] = [(record.data, record.key)]
    message = record.data[len(MAGIC) : -_DIGEST_BYTES]
    if (
        not record.data.startswith(MAGIC)
        or md5(message, usedforsecurity=False).digest() != record.data[-_DIGEST_BYTES:]
    ):
        return itself
    try:
        fields = list(_fields(message))
        keys = [value.decode() for number, value in fields if number == 1 and isinstance(value, bytes)]
        inner = [dict(_fields(value)) for number, value in fields if number == 3 and isinstance(value, bytes)]
        return [(_data(of), keys[_number(of)]) for of in inner]
    except (IndexError, KeyError, TypeError, ValueError):
        return itself  # not as the format says, so it is kept as it came


def _data(of: dict[int, int | bytes]) -> bytes:
    data = of[3]
    if not isinstance(data, bytes):
        raise TypeError
    return data


def _number(of: dict[int, int | bytes]) -> int:
    number = of[1]
    if not isinstance(number, int):
        raise TypeError
    return number


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a protobuf message, by number: whole numbers, or bytes."""
    at = 0
    while at < len(message):
        tag, at = _varint(message, at)
        number, kind = tag >> 3, tag & 7
        if kind == _VARINT:
            value, at = _varint(message, at)
            yield number, value
            continue
        size, at = _varint(message, at) if kind == _BYTES else ({_FIXED_64: 8, _FIXED_32: 4}[kind], at)
        if at + size > len(message):
            raise ValueError
        yield number, message[at : at + size]
        at += size


def _varint(message: bytes, at: int) -> tuple[int, int]:
    """The number at *at*, seven bits to a byte with the lowest first, and where it ends."""
    value = shift = 0
    while True:
        byte = message[at]
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            return value, at
