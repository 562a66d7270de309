"""What checks need of all traces, worked out part by part: traces in memory are the special case of one part."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from tracekit.checks.case import Case
from tracekit.parts import Prepared
from tracekit.traces import TraceSet

if TYPE_CHECKING:
    from collections.abc import Callable

Found = TypeVar("Found")
_SETTINGS = ("now_ns", "external", "tolerance", "margin", "confidence")


def _as_is(_: Case, state: Any) -> Any:
    """Return a merged state as the result."""
    return state


def _unlimited(state: Any) -> Any:
    """Return a state that is limited in size by itself."""
    return state


@dataclass(frozen=True)
class Merged(Generic[Found]):
    """A result of all traces from the states of parts; ``case.result(merged)`` returns it.

    Parameters
    ----------
    state
        Returns the state of the case of a part, or of the case with all traces in memory.  Other processes must be able
        to import it.
    merge
        Returns the state of two; the order does not matter.
    finish
        Returns the result from the case and the state of all parts; default: that state.
    needs
        Other results of all traces that ``state`` asks the case for: they are worked out in an earlier pass.
    limit
        Limits the size of the state of a part of a store; the states of traces in memory stay as they are.

    Examples
    --------
    >>> def count(case):
    ...     return len(case.traces)
    >>> Case(shop).result(Merged(count, int.__add__))
    5
    """

    state: Callable[[Case], Any]
    merge: Callable[[Any, Any], Any]
    finish: Callable[[Case, Any], Found] = _as_is
    needs: tuple[Callable[[Case], Any], ...] = ()
    limit: Callable[[Any], Any] = _unlimited

    def __call__(self, case: Case) -> Found:
        """Return the result; in the case of a part, that of all parts."""
        if case.known is not None:
            return known_to(case, self)  # type: ignore[no-any-return]  # the type of the key
        if isinstance(case.source, TraceSet):
            return self.finish(case, self.state(case))
        known = {need: case.result(need) for need in self.needs}
        settings = tuple((name, getattr(case, name)) for name in _SETTINGS)
        partial = Prepared(_PartCase(settings), _StateOfPart(self.state, self.limit, known))
        return self.finish(case, case.source.reduce(partial, self.merge))


def known_to(case: Case, what: Callable[[Case], Any]) -> Any:
    """Return what all parts together say, in the case of a part; LookupError if no earlier pass worked it out."""
    if case.known is None or what not in case.known:
        raise LookupError(f"expected {what} among what is known of all parts, found it missing; name it in needs=")
    return case.known[what]


@dataclass(frozen=True)
class _PartCase:
    """Returns the case of a part."""

    settings: tuple[tuple[str, Any], ...]

    def __call__(self, traces: TraceSet) -> Case:
        """Return the case of some traces, of which nothing is known beyond them."""
        return Case(traces, known={}, **dict(self.settings))


@dataclass(frozen=True)
class _StateOfPart:
    """Returns a state of the case of a part."""

    state: Callable[[Case], Any]
    limit: Callable[[Any], Any]
    known: dict[Callable[[Case], Any], Any]

    def __call__(self, case: Case) -> Any:
        """Return the state, with what is known of all parts."""
        assert case.known is not None
        case.known.update(self.known)
        return self.limit(self.state(case))
