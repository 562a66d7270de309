"""Pulling traces into a folder.

``windows`` and ``trace_ids`` say what to ask for; ``summaries``, ``batches``, ``retrieval`` and ``insights`` each know
one way to ask; ``folder`` keeps what comes; ``account`` knows what became of every id; ``pull`` puts them together.
"""
