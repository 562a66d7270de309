"""Charts of critical-path time: attribution, comparison of two sets, and what-if."""
