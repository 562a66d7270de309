"""Which names are not those of the recorded traces: redaction has replaced a part of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_MARKS: Final = (r"\[removed\]", r"REDACTED", r"\?", r"[.:]x(?!\w)")  # of removed values, and of parts that stay


def is_removed(case: Case, name: str) -> bool:
    """Return whether a part of a name was replaced, so that a condition with it selects nothing elsewhere."""
    sides = [case.traces] if case.baseline is None else [case.traces, case.baseline.traces]
    kinds = {str(kind) for side in sides for kind in side.redacted["kind"]}
    marks = [*(rf"\[{re.escape(kind)}\b[^\]]*\]" for kind in sorted(kinds)), *_MARKS]
    return bool(kinds) and re.search("|".join(marks), name) is not None
