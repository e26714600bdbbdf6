"""Turns what a storage throws into one sentence that says what to do."""

from __future__ import annotations

import re

# What the message of the storage contains, what it means, the way out. The first that fits is taken.
_MEANINGS = (
    (
        r"UnknownStoreException|NoSuchBucket|bucket does not exist",
        "its bucket does not exist",
        "check the name; Parse.ly's are parsely-dw-<site> with dashes for dots",
    ),
    (
        r"PATH_NOT_FOUND|FileNotFoundException|does not exist",
        "there is nothing",
        "check the prefix; raw events lie under events/YYYY/MM/DD/HH/",
    ),
    (
        r"NoAuthWithAWSException|NoAwsCredentials|Unable to load credentials|CredentialInitializationException",
        "no credentials were found",
        "give them as other AWS tools have them (environment, profile, role) or per bucket in the settings file",
    ),
    (
        r"ExpiredToken|token included in the request is expired",
        "the credentials have expired",
        "renew them and run again; what was done stays done",
    ),
    (
        r"InvalidAccessKeyId|SignatureDoesNotMatch|InvalidToken|security token included in the request is invalid",
        "the credentials are wrong",
        "check access key and secret, and which bucket they are for",
    ),
    (
        r"AuthorizationHeaderMalformed|PermanentRedirect|AWSRedirectException|301 Moved|status code: 301",
        "the bucket is in another region",
        "set AWS_REGION or fs.s3a.endpoint.region to the bucket's region; Parse.ly's buckets are in us-east-1",
    ),
    (
        r"AccessDenied|Forbidden|status code: 403|Status Code: 403",
        "access is denied",
        "the credentials need s3:ListBucket on the bucket and s3:GetObject on its objects",
    ),
    (
        r"UnsupportedFileSystemException|No FileSystem for scheme|ClassNotFoundException",
        "this Spark has no file system for it",
        "add hadoop-aws in the version of Spark's Hadoop, or write s3a:// for s3://",
    ),
    (
        r"UnknownHostException|ConnectException|Connection refused|Connect to .* failed|connection timed out",
        "the server cannot be reached",
        "check the endpoint and the network",
    ),
)


def why_unreadable(uri: str, error: BaseException) -> str:
    """Say in one sentence why *uri* cannot be used, by what the storage said."""
    said = str(error)
    for pattern, meaning, way_out in _MEANINGS:
        if re.search(pattern, said, re.IGNORECASE):
            return f"{uri}: {meaning}; {way_out}."
    first_line = next((line.strip() for line in said.splitlines() if line.strip()), type(error).__name__)
    return f"{uri} cannot be read: {first_line[:300]}"
