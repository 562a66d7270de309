"""Analyses: each takes a TraceSet and returns frames; none reads files or draws.

A result is computed in two steps: ``tabulate(traces)`` returns additive tables of whole traces, which can be summed
across blocks, files and machines; ``summarise(tables)`` computes the result from their sum. The function named after
the file does both.
"""
