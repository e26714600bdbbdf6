"""Stand-ins for the outside world: what tests, demos and benchmarks use instead of Parse.ly and AWS."""
