"""Checks that are not made of a store, which is read part by part: each is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from tracekit.findings import Finding
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOPICS: Final = {
    "data": "what is missing", "changes": "the change since the baseline", "patterns": "patterns", "latency": "latency",
    "errors": "errors", "quality": "data quality", "sampling": "sampling",
}  # fmt: skip


def not_made(checks: Sequence[tuple[str, str]]) -> list[Finding]:
    """Return which checks, given as (topic, name), were not made of a store; nothing if all were."""
    if not checks:
        return []
    topics = [topic for topic in _TOPICS if any(one == topic for one, _ in checks)]
    names = {topic: [name for one, name in checks if one == topic] for topic in topics}
    listed = "; ".join(
        f"{_TOPICS[topic]}: {', '.join(one.removeprefix(f'{topic}.') for one in names[topic])}" for topic in topics
    )
    what = plural(len(checks), "check")
    made = "was not made, as it needs" if len(checks) == 1 else "were not made, as they need"
    text = f"{what} {made} all traces of the store at once ({listed})."
    remedy = "For these, take a random sample of the parts: store.sample(spans=1_000_000).load(), or --sample-spans."
    values = {"check_count": len(checks), "checks": [name for _, name in checks]}
    code = "store.sample(spans=1_000_000).load()"
    return [Finding("not_made", "notice", text, remedy=remedy, values=values, status="not_assessable", code=code)]
