"""Evidence for assistants: tools that answer with findings, and judge claims by what can be derived again.

``claim`` reads a claim; ``verdict`` compares it with the measured numbers; ``answer`` keeps an answer short and marks
what comes from the traces; ``tools`` are the answers themselves; ``server`` offers them over the Model Context
Protocol.
"""
