"""Jaeger: spans, ids (not always hexadecimal), and typed tags."""
