"""Show how fresh a lake is, its last runs and its gaps: `spark-submit jobs/status.py --help`."""

from __future__ import annotations

from parsely_spark.cli import main

if __name__ == "__main__":
    main(command="status")
