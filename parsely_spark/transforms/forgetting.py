"""Lines of visitors who were forgotten: known by a keyed hash, so that the list of them names nobody."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pyspark.sql import functions as F

from parsely_spark.checks import require_columns

if TYPE_CHECKING:
    from collections.abc import Callable

    from pyspark.sql import Column, DataFrame

FORGOTTEN = "forgotten"  # the reason
_BLOCK_BYTES = 64  # of sha256, by which HMAC pads its key
# Of a line that is no event, nothing has been read. A text in it that is written otherwise is not found.
_IN_LINE = {name: rf'"{name}"\s*:\s*"([^"]*)"' for name in ("visitor_site_id", "apikey")}


@dataclass(frozen=True)
class Listed:
    """Who was forgotten.

    Attributes:
        salt: key of the hashes, hex.
        everywhere: hashes of visitors, of whatever site.
        of_sites: hashes of a site and its visitor.
    """

    salt: str
    everywhere: frozenset[str]
    of_sites: frozenset[str]


def text_of(visitor: str, apikey: str | None) -> str:
    """What of a *visitor* is hashed; of one site where an *apikey* is given."""
    return visitor if apikey is None else f"{apikey}\n{visitor}"


def keyed_hash(text: str, salt: str) -> str:
    """HMAC-SHA256 of *text*, hex."""
    return hmac.new(bytes.fromhex(salt), text.encode(), "sha256").hexdigest()


def keyed_hash_of(text: Column, salt: str) -> Column:
    """What `keyed_hash` gives, for a column; SQL knows no HMAC, which is two hashes."""
    key = bytes.fromhex(salt).ljust(_BLOCK_BYTES, b"\0")
    inner, outer = (F.unhex(F.lit(bytes(byte ^ pad for byte in key).hex())) for pad in (0x36, 0x5C))
    hashed = F.sha2(F.concat(inner, F.encode(text, "UTF-8")), 256)
    return F.sha2(F.concat(outer, F.unhex(hashed)), 256)


def set_aside(lines: DataFrame, listed: Listed | None) -> DataFrame:
    """Give the lines of those who are *listed* the reason `FORGOTTEN`, by which they are no events.

    Args:
        lines: what `parse` returns.
        listed: who; None for nobody.

    Returns:
        The same columns.

    Raises:
        MissingColumnsError: if a column is absent.
    """
    if listed is None:
        return lines
    require_columns(lines, ("visitor_site_id", "apikey", "_line", "_reason"), step="set_aside")

    def said(name: str) -> Column:
        in_line = F.regexp_extract("_line", _IN_LINE[name], 1)
        return F.when(F.col("_reason").isNull(), F.col(name)).otherwise(in_line)

    reason = F.when(is_listed(listed, said), F.lit(FORGOTTEN)).otherwise(F.col("_reason"))
    return lines.withColumn("_reason", reason)


def is_listed(listed: Listed, said: Callable[[str], Column]) -> Column:
    """Whether somebody is *listed*, of whom *said* tells ``visitor_site_id`` and ``apikey``."""
    found = F.lit(False)
    if listed.everywhere:
        found |= keyed_hash_of(said("visitor_site_id"), listed.salt).isin(*listed.everywhere)
    if listed.of_sites:
        of_site = F.concat_ws("\n", said("apikey"), said("visitor_site_id"))
        found |= keyed_hash_of(of_site, listed.salt).isin(*listed.of_sites)
    return F.coalesce(found, F.lit(False))
