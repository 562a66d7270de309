"""Which names are not those of the recorded traces: redaction has replaced a part of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tracekit.redaction.apply import redacted_texts

if TYPE_CHECKING:
    from tracekit.checks.case import Case

_MARKS: Final = (r"\[removed\]", r"REDACTED", r"\?", r"[.:]x(?!\w)")  # of removed values, and of parts that stay


def is_removed(case: Case, name: str) -> bool:
    """Return whether a part of a name was replaced, so that a condition with it selects nothing elsewhere.

    Of a store, names are replaced when the page is written: whether that will be so.
    """
    if case.has_store and case.policy is not None and redacted_texts([name], case.policy) != [name]:
        return True
    sides = [case.source] if case.baseline is None else [case.source, case.baseline.source]
    kinds = {str(kind) for side in sides for kind in side.redacted["kind"]}
    marks = [*(rf"\[{re.escape(kind)}\b[^\]]*\]" for kind in sorted(kinds)), *_MARKS]
    return bool(kinds) and re.search("|".join(marks), name) is not None
