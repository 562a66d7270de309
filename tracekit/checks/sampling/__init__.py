"""Whether a sample can be trusted: one file a check; ``checks.registry`` lists them."""
