#!/bin/sh
# Read what is new in Parse.ly's bucket, once, on Kubernetes. With another file of jobs/ and its flags: another command.
#
# The pods' service account may make pods, and its role (on EKS by the annotation eks.amazonaws.com/role-arn) has the
# rights of conf/emr/policy.json. The image is that of the Dockerfile beside this file.
set -eu

exec "${SPARK_HOME:?set it to a Spark 4.2}/bin/spark-submit" \
    --master k8s://https://KUBERNETES:443 \
    --deploy-mode cluster \
    --name parsely-batch \
    --driver-memory 4g \
    --executor-memory 4g \
    --num-executors 2 \
    --executor-cores 2 \
    --conf spark.kubernetes.namespace=parsely \
    --conf spark.kubernetes.container.image=REGISTRY/parsely-spark:0.1.0 \
    --conf spark.kubernetes.authenticate.driver.serviceAccountName=parsely \
    --conf spark.kubernetes.authenticate.executor.serviceAccountName=parsely \
    --conf spark.kubernetes.driver.secretKeyRef.PARSELY_ACCESS_KEY_ID=parsely-keys:access-key \
    --conf spark.kubernetes.driver.secretKeyRef.PARSELY_SECRET_ACCESS_KEY=parsely-keys:secret-key \
    --conf spark.kubernetes.executor.secretKeyRef.PARSELY_ACCESS_KEY_ID=parsely-keys:access-key \
    --conf spark.kubernetes.executor.secretKeyRef.PARSELY_SECRET_ACCESS_KEY=parsely-keys:secret-key \
    --conf 'spark.hadoop.fs.s3a.bucket.parsely-dw-SITE.access.key=${env.PARSELY_ACCESS_KEY_ID}' \
    --conf 'spark.hadoop.fs.s3a.bucket.parsely-dw-SITE.secret.key=${env.PARSELY_SECRET_ACCESS_KEY}' \
    local:///opt/parsely/jobs/batch.py \
    --source s3a://parsely-dw-SITE/events \
    --lake s3a://BUCKET/lake \
    --json
