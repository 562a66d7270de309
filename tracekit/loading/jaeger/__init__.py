"""Jaeger: its spans, its ids, which need not be hex, and its typed tags."""
