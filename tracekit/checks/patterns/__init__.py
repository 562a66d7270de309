"""Patterns of latency and failure in the shape and times of spans: one file each; ``checks.registry`` lists them."""
