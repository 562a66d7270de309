"""What the figures describe and leave out: one file a check; ``checks.registry`` lists them."""
