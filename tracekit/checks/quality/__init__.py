"""Whether the data can be trusted: one file a check; ``checks.registry`` lists them."""
