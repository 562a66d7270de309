"""The answers of AWS to an audit: live and saved ones have the same form, and malformed ones are marked as failed."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from tracekit.aws.operations import OPERATIONS
from tracekit.errors import MISSHAPEN, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tracekit.aws.reader import Answer

KUBECTL = "kubectl:get"  # saved output of kubectl, not an AWS operation
LOGS = "collector:log"  # a saved collector log, not an AWS operation
UNREAD = "tracekit:Unread"
"""The operation of an invalid line of saved answers; its failure contains line and reason."""


@dataclass(frozen=True)
class Answers:
    """All answers of an audit.

    Parameters
    ----------
    region
        The AWS region.
    start, end
        The period, in seconds since the epoch: whole hours.
    records
        One per call, in call order.

    Examples
    --------
    >>> from tracekit.aws.reader import Answer
    >>> answers = Answers("eu-west-1", 0, 3600, [Answer("xray:GetGroups", {}, {"Groups": [{"GroupName": "slow"}]}, "")])
    >>> answers.items("xray:GetGroups")[0]["GroupName"], answers.items("lambda:ListFunctions") is None
    ('slow', True)
    """

    region: str
    start: int
    end: int
    records: list[Answer] = field(default_factory=list)

    @property
    def hours(self) -> int:
        """Length of the period in hours."""
        return (self.end - self.start) // 3600

    def of(self, operation: str) -> list[Answer]:
        """Return the successful calls of an operation."""
        return [record for record in self.records if record.operation == operation and record.is_known]

    def calls_of(self, operation: str) -> list[Answer]:
        """Return all calls of an operation."""
        return [record for record in self.records if record.operation == operation]

    def is_complete(self, operation: str) -> bool:
        """Return whether an operation was called and every call succeeded."""
        calls = self.calls_of(operation)
        return bool(calls) and all(call.is_known for call in calls)

    def items(self, operation: str) -> list[dict[str, Any]] | None:
        """Return the items that an operation listed, or None if it was not called or a call failed."""
        if not self.is_complete(operation):
            return None
        key = "items" if operation == KUBECTL else OPERATIONS[operation].key
        return [item for call in self.of(operation) for item in call.content.get(key) or ()]

    @property
    def hidden_clusters(self) -> list[str]:
        """EKS clusters without saved kubectl output; AWS does not report their pods."""
        clusters = [str(name) for name in self.items("eks:ListClusters") or ()]
        saved = [call.request.get("cluster") for call in self.of(KUBECTL)]
        if len(clusters) == len(saved) == 1:
            return []
        return [name for name in clusters if name not in saved]

    @property
    def has_containers(self) -> bool:
        """Whether all container workloads are known."""
        failed = any(call.failure for call in self.records if call.operation.startswith(("ecs:", "eks:")))
        known = self.is_complete("ecs:ListClusters") and self.is_complete("eks:ListClusters")
        return known and not failed and not self.hidden_clusters

    def without(self, operations: Iterable[str]) -> Answers:
        """Return the answers without those of some operations."""
        left = set(operations)
        return Answers(
            self.region, self.start, self.end, [record for record in self.records if record.operation not in left]
        )

    def including(self, calls: Iterable[Answer]) -> Answers:
        """Return the answers with more calls, which replace those with the same operation and request."""
        new = list(calls)
        kept = [
            one
            for one in self.records
            if not any((c.operation, c.request) == (one.operation, one.request) for c in new)
        ]
        return Answers(self.region, self.start, self.end, [*kept, *new])

    def failures(self) -> Iterator[tuple[str, str]]:
        """Yield (operation, reason) of each operation that failed or was not called."""
        for operation in OPERATIONS:
            calls = self.calls_of(operation)
            reasons = dict.fromkeys(call.failure for call in calls if call.failure)
            yield from ((operation, reason) for reason in reasons)
            if not calls:
                yield operation, "not called"


def drop_malformed(answers: Answers, audit_answers: Callable[[Answers], Any]) -> Answers | None:
    """Return the answers with malformed ones marked as failed, or None if the answers are not the cause.

    Each answer is tried alone first; if none fails alone, the answers of one operation after the other are left out
    until the audit runs.
    """

    def problem(records: Iterable[Answer]) -> str:
        try:
            audit_answers(replace(answers, records=list(records)))
        except MISSHAPEN as error:
            return f"a malformed answer ({type(error).__name__}: {error!s:.150})"
        return ""

    if problem([]):
        return None
    records = [_failed(one, problem([one])) if one.is_known else one for one in answers.records]
    for operation in dict.fromkeys(one.operation for one in records if one.is_known):
        if not (reason := problem(records)):
            break
        fewer = [_failed(one, reason) if one.operation == operation else one for one in records]
        records = records if problem(fewer) else fewer
    if reason := problem(records):
        raise LoadError(
            f"expected answers of AWS, found {reason}, though each alone is valid; audit again",
            source=answers.region,
        )
    return replace(answers, records=records)


def _failed(answer: Answer, reason: str) -> Answer:
    """Return an answer marked as failed, if there is a reason."""
    return replace(answer, content={}, failure=reason) if reason else answer
