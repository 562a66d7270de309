"""PII and secrets in traces: patterns, search and the check."""
