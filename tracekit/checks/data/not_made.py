"""Checks that are not made of a store, which is read part by part: each is named."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import pandas as pd

from tracekit.findings import Finding
from tracekit.text import plural

if TYPE_CHECKING:
    from collections.abc import Sequence

_TOPICS: Final = {
    "data": "what is missing", "changes": "the change since the baseline", "patterns": "patterns", "latency": "latency",
    "errors": "errors", "quality": "data quality", "sampling": "sampling",
}  # fmt: skip


class NotMade(NamedTuple):
    """A check that is not made of a store: its topic, its name, and why."""

    topic: str
    check: str
    reason: str


def not_made(checks: Sequence[NotMade]) -> list[Finding]:
    """Return which checks were not made of a store, each with its reason; nothing if all were."""
    if not checks:
        return []
    topics = [topic for topic in _TOPICS if any(one.topic == topic for one in checks)]
    names = {topic: [one.check for one in checks if one.topic == topic] for topic in topics}
    listed = "; ".join(
        f"{_TOPICS[topic]}: {', '.join(one.removeprefix(f'{topic}.') for one in names[topic])}" for topic in topics
    )
    what = plural(len(checks), "check")
    made = "was not made, as it needs" if len(checks) == 1 else "were not made, as they need"
    text = f"{what} {made} all traces of the store at once ({listed})."
    remedy = "For these, take a random sample of the parts: store.sample(spans=1_000_000).load(), or --sample-spans."
    values = {"check_count": len(checks), "checks": [one.check for one in checks]}
    return [
        Finding(
            "not_made",
            "notice",
            text,
            evidence=pd.DataFrame(list(checks), columns=list(NotMade._fields)),
            remedy=remedy,
            values=values,
            status="not_assessable",
            code="store.sample(spans=1_000_000).load()",
        )
    ]
