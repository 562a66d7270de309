"""One file a question.  Each takes a TraceSet and returns frames; none reads files and none draws.

A result is made in two steps: ``tabulate(traces)`` gives tables of whole traces that add up across blocks, files and
machines; ``summarise(tables)`` turns their sum into the answer.  The function named after the file does both.
"""
