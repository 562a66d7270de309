"""What changed since the baseline: one file a check; ``checks.registry`` lists them."""
