"""X-Ray sampling rules: reading, linting, and comparison with the traffic."""
