"""What a careful user would write instead, one script each: `python -m benchmarks.peers.NAME SOURCE OUT`.

Each makes the events, sessions and pageviews of the files under SOURCE in the folder OUT, each event once, and ends
with its row counts on standard output.
"""
