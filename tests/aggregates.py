"""Records as the Kinesis Producer Library puts them together, written by the description of its format."""

from __future__ import annotations

from hashlib import md5

MAGIC = b"\xf3\x89\x9a\xc2"


def varint(number: int) -> bytes:
    """A number as protobuf writes it."""
    more, low = number >> 7, number & 0x7F
    return bytes([low | 0x80]) + varint(more) if more else bytes([low])


def written(field: int, value: bytes | int) -> bytes:
    """A field as protobuf writes it."""
    if isinstance(value, int):
        return varint(field << 3) + varint(value)
    return varint(field << 3 | 2) + varint(len(value)) + value


def aggregate(*records: tuple[str, bytes]) -> bytes:
    """Records as the producer library puts them together."""
    keys = sorted({key for key, _ in records})
    message = b"".join(written(1, key.encode()) for key in keys) + written(2, b"0")
    message += b"".join(
        written(3, written(1, keys.index(key)) + written(2, 0) + written(3, data)) for key, data in records
    )
    return MAGIC + message + md5(message, usedforsecurity=False).digest()
