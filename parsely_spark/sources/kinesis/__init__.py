"""The data source ``parsely-kinesis``: every record of a Kinesis stream once."""
