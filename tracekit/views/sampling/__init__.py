"""Figures of a sample: latencies, mix, collection, coverage, clocks, phases."""
