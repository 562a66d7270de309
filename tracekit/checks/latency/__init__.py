"""Which requests are slow, and why: one file a check; ``checks.registry`` lists them."""
