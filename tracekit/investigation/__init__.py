"""Investigations: all checks of a recording and its baseline, and the first screen.

``investigate`` runs the ``steps``; ``baseline`` finds a baseline inside a recording; ``result`` is what they made;
``story`` is the postmortem of it; ``verify`` computes the claims of a page again.
"""
