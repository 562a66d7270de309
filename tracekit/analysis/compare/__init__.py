"""Comparison of two sets of traces by operation, by call between services, and by endpoint."""
