"""Malformed answers: found and marked as failed, so that the rest of the audit can run."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tracekit.errors import MISSHAPEN, LoadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tracekit.aws.audit.answers import Answers
    from tracekit.aws.reader import Answer


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
