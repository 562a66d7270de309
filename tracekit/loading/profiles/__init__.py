"""Readers of profiles: pprof, OTLP profiles as JSON, and collapsed stacks."""
