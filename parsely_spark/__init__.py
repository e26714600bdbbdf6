"""Spark jobs that turn Parse.ly's raw events into sessions and other tables."""

from __future__ import annotations

__version__ = "0.1.0"
