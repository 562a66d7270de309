"""Shapes of traces: which call paths they have."""
