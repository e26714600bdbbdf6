"""What a piece of work costs Spark, as counts, which are the same on a slow machine and on a fast one."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pyspark.sql import SparkSession


@dataclass
class Cost:
    """Known when the block is over.

    Attributes:
        jobs: how many there were.
        shuffles: bytes that each stage has written for the next one, the largest first.
    """

    jobs: int = 0
    shuffles: list[int] = field(default_factory=list)


@contextmanager
def cost_of_block(spark: SparkSession) -> Iterator[Cost]:
    """Count what is done in the block."""
    cost = Cost()
    jobs, stages = _newest(_jobs(spark), "jobId"), _newest(_stages(spark), "stageId")
    yield cost
    cost.jobs = len([job for job in _jobs(spark) if job.jobId() > jobs])
    ran = [stage for stage in _stages(spark) if stage.stageId() > stages]
    cost.shuffles = sorted((stage.shuffleWriteBytes() for stage in ran if stage.shuffleWriteBytes()), reverse=True)


def _jobs(spark: SparkSession) -> list[Any]:
    return _listed(_store(spark).jobsList(None))


def _stages(spark: SparkSession) -> list[Any]:
    no_quantiles = spark.sparkContext._gateway.new_array(spark._jvm.double, 0)
    return _listed(_store(spark).stageList(None, False, False, no_quantiles, None))


def _store(spark: SparkSession) -> Any:
    """What Spark's own pages show; it is kept without them, for the last thousand jobs and stages."""
    context = spark.sparkContext._jsc.sc()
    context.listenerBus().waitUntilEmpty()
    return context.statusStore()


def _listed(sequence: Any) -> list[Any]:
    return [sequence.apply(number) for number in range(sequence.size())]


def _newest(of: list[Any], name: str) -> int:
    return max((getattr(one, name)() for one in of), default=-1)
