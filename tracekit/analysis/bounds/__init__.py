"""Bounds of a figure over everything that sampling, gaps and incomplete traces can have hidden, and what decides."""
