"""Suspects: which service explains the difference between two sets of traces."""
