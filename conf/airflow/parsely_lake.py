"""Parse.ly's raw events into the lake each hour, a proof of the tables and their upkeep each night: EMR Serverless.

For Airflow 3.2 or newer: before, airflow.sdk has no such timetable. The job's exit code decides: 0 is done, also when
there was nothing new; 1, it failed, left files out or, as `verify`, found a difference; 2, a flag or a setting is
wrong. Whatever a run has left, the next one takes up.
"""

from __future__ import annotations

import pendulum
from airflow.providers.amazon.aws.operators.emr import EmrServerlessStartJobOperator
from airflow.sdk import DAG, CronDataIntervalTimetable

SOURCE = "s3a://parsely-dw-SITE/events"
LAKE = "s3a://BUCKET/lake"
# As in emr/serverless-batch.json; conf/README.md says what is yours to replace.
SPARK = (
    "--py-files s3://BUCKET/code/parsely_spark-0.1.0.zip,/usr/share/aws/delta/lib/delta-spark.jar"
    " --conf spark.jars=/usr/share/aws/delta/lib/delta-spark.jar,/usr/share/aws/delta/lib/delta-storage.jar"
)
ON_EMR = {
    "application_id": "00application0id",
    "execution_role_arn": "arn:aws:iam::123456789012:role/parsely-lake",
    "configuration_overrides": {
        "applicationConfiguration": [
            {
                "classification": "spark-defaults",
                "properties": {
                    "spark.hadoop.fs.s3a.bucket.parsely-dw-SITE.access.key": "EMR.secret@parsely-access-key",
                    "spark.hadoop.fs.s3a.bucket.parsely-dw-SITE.secret.key": "EMR.secret@parsely-secret-key",
                },
            }
        ],
        "monitoringConfiguration": {"s3MonitoringConfiguration": {"logUri": "s3://BUCKET/logs/"}},
    },
    "config": {"mode": "BATCH", "executionTimeoutMinutes": 180},
    # Longer than the job may take: by default, the operator gives up after 25 looks, one a minute.
    "waiter_delay": 60,
    "waiter_max_attempts": 200,
}

with DAG(
    "parsely_hourly",
    # Said in full: what "@hourly" gives in Airflow 3 are intervals of no length, and --from would be --until.
    schedule=CronDataIntervalTimetable("0 * * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
):
    EmrServerlessStartJobOperator(
        task_id="batch",
        name="parsely-batch",
        job_driver={
            "sparkSubmit": {
                "entryPoint": "s3://BUCKET/code/jobs/batch.py",
                "entryPointArguments": [
                    *("--source", SOURCE),
                    *("--lake", LAKE),
                    # Hours of UTC, the last one left out. Files come late, too: six hours before are listed again, and
                    # of those only what is new is read.
                    *("--from", "{{ (data_interval_start - macros.timedelta(hours=6)).strftime('%Y-%m-%dT%H') }}"),
                    *("--until", "{{ data_interval_end.strftime('%Y-%m-%dT%H') }}"),
                    "--json",
                ],
                "sparkSubmitParameters": SPARK,
            }
        },
        retries=1,
        **ON_EMR,
    )

with DAG(
    "parsely_nightly",
    schedule=CronDataIntervalTimetable("30 3 * * *", timezone="UTC"),
    start_date=pendulum.datetime(2026, 1, 1, tz="UTC"),
    catchup=False,
    max_active_runs=1,
):
    # All hours: for a file that came more than six of them late.
    late_files = EmrServerlessStartJobOperator(
        task_id="late_files",
        name="parsely-late-files",
        job_driver={
            "sparkSubmit": {
                "entryPoint": "s3://BUCKET/code/jobs/batch.py",
                "entryPointArguments": ["--source", SOURCE, "--lake", LAKE, "--json"],
                "sparkSubmitParameters": SPARK,
            }
        },
        retries=1,
        **ON_EMR,
    )
    # Not tried again: what it has found, it would find again.
    verify = EmrServerlessStartJobOperator(
        task_id="verify",
        name="parsely-verify",
        job_driver={
            "sparkSubmit": {
                "entryPoint": "s3://BUCKET/code/jobs/verify.py",
                "entryPointArguments": ["--lake", LAKE, "--json"],
                "sparkSubmitParameters": SPARK,
            }
        },
        retries=0,
        **ON_EMR,
    )
    # Only of tables that are right: until somebody has looked, what was before stays.
    maintain = EmrServerlessStartJobOperator(
        task_id="maintain",
        name="parsely-maintain",
        job_driver={
            "sparkSubmit": {
                "entryPoint": "s3://BUCKET/code/jobs/maintain.py",
                "entryPointArguments": ["--lake", LAKE, "--json"],
                "sparkSubmitParameters": SPARK,
            }
        },
        retries=1,
        **ON_EMR,
    )
    late_files >> verify >> maintain
