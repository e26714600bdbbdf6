"""``python -m parsely_spark``: the console command where none is installed."""

from __future__ import annotations

import sys

from parsely_spark.cli import main

sys.exit(main())
