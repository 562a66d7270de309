"""What was not done with log lines, because the traces are a store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracekit.findings import Finding
from tracekit.text import count, plural

if TYPE_CHECKING:
    from tracekit.checks.case import Case


def logs_of_store(case: Case) -> list[Finding]:
    """Return which log lines were not joined with a store, and of which traces they are a sample; nothing if of all."""
    found = case.stored_logs
    if found is None:
        return []
    parts: list[str] = []
    values: dict[str, Any] = {"line_count": found.line_count, "without_id_count": found.without_id_count}
    if found.without_id_count:
        parts.append(
            f"{count(found.without_id_count)} of {plural(found.line_count, 'log line')} have no trace id: they are not"
            " joined, as that needs all traces of the store at once."
        )
    for side, what in ((found.current, "traces"), (found.baseline, "baseline traces")):
        if side is not None and side.is_sample:
            parts.append(
                f"Lines are joined with a random sample of the {what} that they name:"
                f" {count(len(side.traces))} of {count(side.trace_count)}."
            )
            values |= {f"{what.replace(' ', '_')}": len(side.traces), f"all_{what.replace(' ', '_')}": side.trace_count}
    if not parts:
        return []
    remedy = "Join them in memory: tk.logs(store.sample(spans=1_000_000).load(), source)."
    code = "tk.logs(store.sample(spans=1_000_000).load(), source)"
    return [Finding("logs_of_store", "notice", " ".join(parts), values=values, remedy=remedy,
                    status="not_assessable", code=code)]  # fmt: skip
