"""Readers of profiles: pprof, OTLP profiles, and collapsed stacks."""
