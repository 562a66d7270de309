"""Pulling traces into a folder.

``windows`` and ``trace_ids`` define what to request; ``summaries``, ``batches``, ``retrieval`` and ``insights`` each
wrap one API; ``folder`` stores the answers; ``account`` tracks the outcome of every id; ``xray`` is the entry point.
"""
