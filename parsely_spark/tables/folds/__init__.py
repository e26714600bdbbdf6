"""The declarations of the derived tables, a module each. Adding a table is adding one here."""

from __future__ import annotations

from parsely_spark.tables.folds.sessions import SESSIONS

FOLDS = (SESSIONS,)
