"""Everything known about one service: facts, each with the answer of AWS that contains it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from tracekit.aws.reader import Answer
    from tracekit.columns import Array
    from tracekit.weights.rules import HeadRule

_MAX_EXCERPT = 600  # characters of an answer in the evidence


def when(at: float) -> str:
    """Return a time as text, UTC."""
    return pd.Timestamp(at, unit="s").strftime("%Y-%m-%d %H:%M")


class Fact(NamedTuple):
    """An observation about a service."""

    step: int
    fact: str
    observed: Any
    source_call: str
    answer: str
    as_of: str
    note: str = ""


class Change(NamedTuple):
    """A deployment or configuration change; ``at`` in seconds since the epoch."""

    at: float
    what: str
    actor: str
    is_first: bool

    @property
    def text(self) -> str:
        """The change, its actor if known, and its time."""
        return f"{self.what}{f' by {self.actor}' if self.actor else ''} at {when(self.at)}"


@dataclass
class ServiceRecord:
    """Everything known about a service; what is missing is unknown.

    Parameters
    ----------
    name
        Name of the service.
    facts
        Facts by name.
    requests, recorded
        Requests per hour as counted elsewhere, and calls per hour in X-Ray's traces.
    request_total
        Requests of the whole period; also known if the hours are not.
    rules
        Sampling rules that may apply to the service.
    changes
        Deployments and configuration changes by time.
    """

    name: str
    facts: dict[str, Fact] = field(default_factory=dict)
    requests: Array | None = None
    recorded: Array | None = None
    request_total: float | None = None
    rules: tuple[HeadRule, ...] | None = None
    changes: list[Change] | None = None

    def add(
        self, step: int, fact: str, observed: Any, source: Answer | None, excerpt: Any = None, note: str = ""
    ) -> None:
        """Add a fact; None is unknown and adds nothing."""
        if observed is None:
            return
        text = "" if excerpt is None else json.dumps(excerpt, ensure_ascii=False, default=str)
        text = text if len(text) <= _MAX_EXCERPT else f"{text[:_MAX_EXCERPT]}... ({len(text):,} characters)"
        call, as_of = (source.operation, source.as_of) if source else ("", "")
        self.facts[fact] = Fact(step, fact, observed, call, text, as_of, note)

    def value(self, fact: str) -> Any:
        """Return the observed value of a fact, or None if unknown."""
        return self.facts[fact].observed if fact in self.facts else None


class ServiceRecords(dict[str, ServiceRecord]):
    """Service records by service name."""

    def of(self, name: str) -> ServiceRecord:
        """Return the record of a service; created if missing."""
        return self.setdefault(name, ServiceRecord(name))
