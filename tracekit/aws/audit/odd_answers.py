"""Answers of another shape than their operation has: found, and left out with the reason, so that the rest is read."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracekit.errors import MISSHAPEN, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.aws.audit.answers import Answer, Answers


def without_odd(answers: Answers, conclude: Callable[[Answers], Any]) -> Answers | None:
    """Return the answers with odd ones marked as failed; None where something else than the answers is odd.

    Each answer is tried alone first; where none fails alone, all answers of one operation after the other are left out
    until the rest is sound.
    """

    def problem(records: Iterable[Answer]) -> str:
        try:
            conclude(replace(answers, records=list(records)))
        except MISSHAPEN as error:
            return f"an answer of another shape ({type(error).__name__}: {error!s:.150})"
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
            f"expected answers of AWS, found {reason} that is none alone; audit again", source=answers.region
        )
    return replace(answers, records=records)


def _failed(answer: Answer, reason: str) -> Answer:
    """Return an answer as one that failed, where there is a reason."""
    return replace(answer, content={}, failure=reason) if reason else answer
