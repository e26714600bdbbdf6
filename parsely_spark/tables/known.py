"""What a lake says of the lines that come into it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from parsely_spark.tables.catalog import EVENTS
from parsely_spark.tables.extras import extra_fields
from parsely_spark.tables.forgotten import listed
from parsely_spark.tables.retention import oldest_day

if TYPE_CHECKING:
    from datetime import date

    from parsely_spark.schema import Field
    from parsely_spark.tables.catalog import Lake
    from parsely_spark.transforms.forgetting import Listed


class Known(NamedTuple):
    """What there is to know of a lake.

    Attributes:
        gone: who was forgotten; None for nobody.
        extra: the fields that events have beside those of the schema.
        oldest: the first day whose events are kept; None where all are.
    """

    gone: Listed | None
    extra: tuple[Field, ...]
    oldest: date | None


def known_to(lake: Lake) -> Known:
    """What *lake* says now: whoever reads lines for long asks again in the end."""
    return Known(listed(lake), extra_fields(lake), oldest_day(lake.properties_of(EVENTS.name)))
