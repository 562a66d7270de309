"""The two filter languages of ``TraceSet.where``: conditions over columns of spans, and X-Ray filter expressions.

``conditions`` parses the first kind and ``operations`` evaluates it.  ``xray_filter`` evaluates the second, for traces
of any format. Its grammar is that of the X-Ray developer guide, "Using filter expressions": ``syntax`` defines its
keywords, ``tokens`` and ``parsing`` parse it, ``evaluation`` evaluates it over columns, with the service map of each
trace from ``nodes``.
"""

from __future__ import annotations

import ast
import re

from tracekit import schema
from tracekit.errors import FilterError
from tracekit.expressions.conditions import evaluate as evaluate
from tracekit.expressions.conditions import parsed
from tracekit.expressions.evaluation import xray_filter as xray_filter
from tracekit.expressions.syntax import KEYWORDS

_FIRST = re.compile(r"[\s!(]*([A-Za-z][A-Za-z0-9_.]*)")
_MARKS = re.compile(r"\{|^\s*!|\b(?:AND|OR|CONTAINS|BEGINSWITH|ENDSWITH)\b")
_CONDITIONS_ONLY = (ast.Eq, ast.In, ast.NotIn)  # X-Ray has = and no lists
_FAMILIES = ("annotation", "rootcause", "service", "edge")


def is_xray(expression: str) -> bool:
    """Return whether a text is an X-Ray filter expression rather than a condition over columns of spans."""
    try:
        nodes = list(ast.walk(parsed(expression)))
    except FilterError:
        if _MARKS.search(expression):
            return True
        nodes = []
    if any(isinstance(node, _CONDITIONS_ONLY) for node in nodes):
        return False
    used = {node.id for node in nodes if isinstance(node, ast.Name)}
    if used and used <= set(schema.names("spans")):
        return False
    found = _FIRST.match(expression)
    word = found[1].lower() if found else ""
    return word in KEYWORDS or word.partition(".")[0] in _FAMILIES
