"""X-Ray's sampling rules: as written, checked, and compared with the traffic."""
