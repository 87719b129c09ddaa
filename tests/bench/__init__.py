"""Benchmarks: what filterd's own code costs, as ratios to floors measured in the same run. Never pass or fail."""
