"""Statistics on arrays: intervals, quantiles, tests, additive tables; independent of the trace model."""
