"""Causes of X-Ray segments as ``exception`` events, and the references between them.

A cause is a list of exceptions, or the id of an exception elsewhere in the trace.  A span whose cause is such an id
waits until the record is read; then its event gets the type and message of that exception, and its id as ``cause_id``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tracekit.loading.building.builder import Event

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.building.ledger import Position

EXCEPTIONS_KEPT = 100_000

_KEYS = {
    "type": "exception.type",
    "message": "exception.message",
    "id": "aws.xray.exception.id",
    "cause": "aws.xray.exception.cause",
    "stack": "aws.xray.exception.stack",
}


class Reference(NamedTuple):
    """A reference of a part to an exception."""

    trace_id: int
    exception_id: str
    span_id: int
    at: Position


class Causes:
    """Converts causes to events and resolves their references.

    Parameters
    ----------
    builder
        Receives the delayed spans; its ledger receives unresolved references.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._known: dict[tuple[int, str], tuple[Any, Any]] = {}
        self._references: list[Reference] = []
        self._waiting: list[tuple[Reference, dict[str, Any]]] = []

    def of_object(self, cause: dict[str, Any], who: Reference) -> tuple[list[Event], list[int]]:
        """Return the events of a cause with exceptions, and the attributes of its other fields."""
        kv = self._builder.kv
        events, codes = [], []
        for member, value in cause.items():
            if member == "exceptions" and isinstance(value, list):
                events = [self._event(item, who) for item in value if isinstance(item, dict)]
                odd = [item for item in value if not isinstance(item, dict)]
                codes += [kv("aws.xray.cause.exceptions", odd)] if odd else []
            elif value is not None:
                codes.append(kv(f"aws.xray.cause.{member}", value))
        return events, codes

    def _event(self, exception: dict[str, Any], who: Reference) -> Event:
        """Return one exception as an event, and store it for references."""
        kv = self._builder.kv
        codes = []
        for member, value in exception.items():
            if value is not None:
                codes.append(kv(_KEYS.get(member) or f"aws.xray.exception.{member}", value))
        stack = exception.get("stack")
        if isinstance(stack, list) and stack:
            codes.append(kv("exception.stacktrace", stack_text(stack)))
        name, further = exception.get("id"), exception.get("cause")
        if isinstance(name, str):
            if len(self._known) >= EXCEPTIONS_KEPT:
                self._known.clear()
            self._known[who.trace_id, name] = exception.get("type"), exception.get("message")
        if isinstance(further, str) and further:
            self._references.append(who._replace(exception_id=further))
        return Event(None, "exception", codes)

    def later(self, who: Reference) -> Callable[..., None]:
        """Return a function that delays a span until its cause is known."""

        def wait(**span: Any) -> None:
            self._waiting.append((who, span))

        return wait

    def resolve(self) -> None:
        """Load the delayed spans, and report unresolved references."""
        for who, span in self._waiting:
            self._builder.span(**{**span, "events": [self.of_reference(who)]})
        for who in self._references:
            if (who.trace_id, who.exception_id) not in self._known:
                self._dangling(who)
        self._waiting.clear()
        self._references.clear()

    def of_reference(self, who: Reference) -> Event:
        """Return the event of a cause by reference; all exceptions of the record are known."""
        kv = self._builder.kv
        codes = [kv("aws.xray.exception.cause", who.exception_id)]
        known = self._known.get((who.trace_id, who.exception_id), (None, None))
        for key, value in zip(("exception.type", "exception.message"), known, strict=True):
            if value is not None:
                codes.append(kv(key, value))
        self._references.append(who)
        return Event(None, "exception", codes)

    def _dangling(self, who: Reference) -> None:
        """Report an unresolved reference."""
        message = (
            f"expected the exception {who.exception_id[:40]!r}, referenced as the cause, in the same trace;"
            " found none; the reference is kept as cause_id"
        )
        self._builder.ledger.issue(
            "XR_CAUSE_DANGLING",
            message,
            at=who.at,
            trace_id=f"{who.trace_id:032x}",
            span_id=f"{who.span_id:016x}",
            field="cause",
        )


def stack_text(stack: list[Any]) -> str:
    r"""Return stack frames as text, one per line."""
    return "\n".join(map(_frame, stack))


def _frame(frame: Any) -> str:
    """Return one frame as a line."""
    if not isinstance(frame, dict):
        return f"  at {frame}"
    place = ":".join(str(frame[key]) for key in ("path", "line") if frame.get(key) not in (None, ""))
    label = frame.get("label")
    return f"  at {label} ({place})" if label and place else f"  at {label or place}"
