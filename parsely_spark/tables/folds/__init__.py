"""The declarations of the derived tables. Adding a table is adding one here."""

from __future__ import annotations

from typing import TYPE_CHECKING

from parsely_spark.reporting import DepthSettings
from parsely_spark.tables.folds.conversions import CONVERSIONS
from parsely_spark.tables.folds.pageviews import pageviews
from parsely_spark.tables.folds.posts import POST_HOURS, POST_VERSIONS, POSTS
from parsely_spark.tables.folds.sessions import SESSIONS
from parsely_spark.tables.folds.videoviews import videoviews
from parsely_spark.tables.folds.visitor_days import VISITOR_DAYS

if TYPE_CHECKING:
    from collections.abc import Collection

    from parsely_spark.transforms.fold import Fold

USUAL_DEPTHS = DepthSettings()


def all_folds(depths: DepthSettings = USUAL_DEPTHS) -> tuple[Fold, ...]:
    """Every declaration, in the order in which to fold: a table that follows another comes after it."""
    media = (pageviews(depths), videoviews(depths))
    return (SESSIONS, *media, VISITOR_DAYS, POSTS, POST_VERSIONS, POST_HOURS, CONVERSIONS)


FOLDS = all_folds()


def folds_of(tables: Collection[str], depths: DepthSettings = USUAL_DEPTHS) -> list[Fold]:
    """The declarations of *tables*; none means all."""
    return [fold for fold in all_folds(depths) if not tables or fold.name in tables]


def with_followed(folds: list[Fold]) -> list[Fold]:
    """Those *folds* and the ones that they follow."""
    named = {fold.name for fold in folds} | {fold.follows.name for fold in folds if fold.follows is not None}
    return [fold for fold in FOLDS if fold.name in named and fold.name not in {f.name for f in folds}] + folds
