"""Patterns of latency and failure that the shape and times of spans show: one file each; ``checks.registry`` lists them."""
