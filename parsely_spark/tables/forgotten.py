"""The list of visitors who were forgotten, which keeps them from coming in again."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from parsely_spark.small_work import looking
from parsely_spark.tables.catalog import FORGOTTEN
from parsely_spark.tables.commits import RUN, until_nobody_was_quicker
from parsely_spark.tables.write import insert_rows
from parsely_spark.transforms.forgetting import Listed, keyed_hash, text_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from parsely_spark.tables.catalog import Lake

_SALT = "parsely_spark.salt"
_SALT_BYTES = 32


def listed(lake: Lake) -> Listed | None:
    """Who was forgotten; None for nobody, which costs one look at whether the table is there."""
    if not lake.has(FORGOTTEN.name):
        return None
    with looking(lake.spark):
        salt = _salt(lake)
        rows = lake.read(FORGOTTEN.name).select("visitor_hmac", "is_of_site").collect() if salt else []
    if salt is None or not rows:
        return None
    hashes = {is_of_site: {row[0] for row in rows if row[1] == is_of_site} for is_of_site in (False, True)}
    return Listed(salt, frozenset(hashes[False]), frozenset(hashes[True]))


def remember(lake: Lake, visitors: Sequence[str], apikey: str | None, *, run_id: str) -> list[str]:
    """Put *visitors* on the list, those of one site where an *apikey* is given; return their hashes."""
    lake.create_missing(FORGOTTEN.name)
    until_nobody_was_quicker(lake, FORGOTTEN.name, lambda: _give_salt(lake))
    salt, now = str(_salt(lake)), datetime.now(UTC)
    rows = [
        (keyed_hash(text_of(visitor, apikey), salt), apikey is not None, now) for visitor in dict.fromkeys(visitors)
    ]
    new = lake.spark.createDataFrame(rows, FORGOTTEN.ddl)
    insert_rows(lake, FORGOTTEN.name, new, key=("visitor_hmac",), says={RUN: run_id})
    return [row[0] for row in rows]


def _give_salt(lake: Lake) -> int:
    """Make up a salt, once: of two that do so at a time, Delta lets one through."""
    if _salt(lake) is None:
        salt = secrets.token_hex(_SALT_BYTES)
        lake.spark.sql(f"ALTER TABLE {lake.name_of(FORGOTTEN.name)} SET TBLPROPERTIES ('{_SALT}' = '{salt}')")
    return 0


def _salt(lake: Lake) -> str | None:
    properties = lake.detail(FORGOTTEN.name).select("properties").collect()[0][0]
    salt = properties.get(_SALT)
    return None if salt is None else str(salt)
