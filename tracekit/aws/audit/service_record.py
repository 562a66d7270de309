"""What is known about one service: facts, each with the answer of AWS that it rests on."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

if TYPE_CHECKING:
    from tracekit.aws.audit.answers import Answer
    from tracekit.columns import Array
    from tracekit.weights.rules import HeadRule

_LONGEST = 600  # characters of an answer that a table of evidence shows


def when(at: float) -> str:
    """Return a time as text, UTC."""
    return pd.Timestamp(at, unit="s").strftime("%Y-%m-%d %H:%M")


class Fact(NamedTuple):
    """Something observed."""

    step: int
    fact: str
    observed: Any
    source_call: str
    answer: str
    as_of: str
    note: str = ""


class Change(NamedTuple):
    """Something that was changed at a time (seconds since the epoch)."""

    at: float
    what: str
    actor: str
    is_first: bool

    @property
    def told(self) -> str:
        """What was changed, by whom where that is known, and when."""
        return f"{self.what}{f' by {self.actor}' if self.actor else ''} at {when(self.at)}"


@dataclass
class ServiceRecord:
    """Everything known about a service; what is not there is unknown.

    Parameters
    ----------
    name
        Of the service.
    facts
        By name.
    requests, recorded
        Of every hour: requests that somebody counted, calls that are in X-Ray's traces.
    request_total
        Of the whole period, where the hours are not known.
    rules
        The sampling rules that may decide about the service.
    changes
        Deployments and changes of configuration, in order of time.
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
        """Write down a fact; None is not known, and says nothing."""
        if observed is None:
            return
        text = "" if excerpt is None else json.dumps(excerpt, ensure_ascii=False, default=str)
        text = text if len(text) <= _LONGEST else f"{text[:_LONGEST]}... ({len(text):,} characters)"
        call, as_of = (source.operation, source.as_of) if source else ("", "")
        self.facts[fact] = Fact(step, fact, observed, call, text, as_of, note)

    def value(self, fact: str) -> Any:
        """Return what was observed; None where that is not known."""
        return self.facts[fact].observed if fact in self.facts else None


class ServiceRecords(dict[str, ServiceRecord]):
    """The services by name."""

    def of(self, name: str) -> ServiceRecord:
        """Return the sheet of a service, a new one where there is none."""
        return self.setdefault(name, ServiceRecord(name))
