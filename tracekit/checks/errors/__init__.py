"""Which requests fail, and where errors originate: one file a check; ``checks.registry`` lists them."""
