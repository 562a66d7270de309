"""What was not done with log lines, because the traces are a store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracekit.findings import Finding
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def logs_of_store(case: Case) -> list[Finding]:
    """Return how many log lines were not joined with a store, which have no id; nothing without any."""
    found = case.stored_logs
    if found is None or not found.without_id_count:
        return []
    text = (
        f"{count(found.without_id_count)} of {plural(found.line_count, 'log line')} have no trace or span id: they are"
        " not joined, as that needs all traces of the store at once."
    )
    return [
        Finding(
            "logs_of_store",
            "notice",
            text,
            values={"line_count": found.line_count, "without_id_count": found.without_id_count},
            remedy="Join them in memory: tk.logs(store.sample(spans=1_000_000).load(), source).",
            status="not_assessable",
            code="tk.logs(store.sample(spans=1_000_000).load(), source)",
        )
    ]
