"""One offline HTML file: what a set of traces shows, readable when the traces have expired.

``page.report`` fills and writes the file; ``overview`` holds figures and results, ``headlines`` the first sentences,
``sections`` tables and pictures, ``tables`` their cells, ``policy`` what keeps the file safe.
"""

from tracekit.report.page import report

__all__ = ["report"]
