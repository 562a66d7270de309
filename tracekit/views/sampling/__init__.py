"""Charts of sampling: latency bias, traffic mix, collection gaps, trace coverage, clock skew, start phases."""
