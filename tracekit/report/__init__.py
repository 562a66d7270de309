"""One offline HTML file: what a set of traces shows, readable when the traces have expired.

``page`` fills and writes the file; ``overview`` holds the results, ``headlines`` the first sentences, ``reading``,
``services``, ``failures`` and ``slowest`` the sections, ``tables`` their cells, ``policy`` what keeps the file safe.
"""

from tracekit.report.page import report

__all__ = ["report"]
