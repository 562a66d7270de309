"""Arguments one step from right: what was passed in place of traces, and the line that works."""

from __future__ import annotations

from os import PathLike
from typing import Any

from tracekit.on_demand import pd


def check_traces(value: object, call: str) -> None:
    """Raise TypeError with the line that works, unless a value is a TraceSet or a TraceStore.

    Parameters
    ----------
    value
        The argument.
    call
        The public function: its name is in the message.

    Examples
    --------
    >>> check_traces(("before", "during"), "latency")
    Traceback (most recent call last):
    TypeError: expected a TraceSet for tk.latency, found tuple; pass what tk.read or tk.load_sample returns
    """
    from tracekit.traces import TraceSet  # noqa: PLC0415 - TraceSet uses this module

    if isinstance(value, TraceSet) or is_store(value):
        return
    advice = _advice(value, call, TraceSet)
    raise TypeError(f"expected a TraceSet for tk.{call}, found {type(value).__name__}; {advice}")


def is_store(value: object) -> bool:
    """Return whether a value is a TraceStore, without importing it.

    Examples
    --------
    >>> is_store(shop)
    False
    """
    return type(value).__name__ == "TraceStore" and hasattr(value, "parts")


def _advice(value: Any, call: str, kind: type) -> str:
    """Return what to write instead."""
    if isinstance(value, tuple | list) and value and all(isinstance(one, kind) for one in value):
        names = ", ".join(("before", "during") if len(value) == 2 else [f"part_{k + 1}" for k in range(len(value))])  # noqa: PLR2004
        return f"it contains {len(value)} of them: choose one, as in {names} = ...; tk.{call}({names.split(', ')[-1]})"
    if isinstance(value, pd.DataFrame):
        return f"from a frame of spans: tk.{call}(tk.TraceSet.from_spans(frame))"
    if isinstance(value, str | bytes | PathLike):
        return f"from a file or store: tk.{call}(tk.read({str(value)[:60]!r}))"
    if isinstance(getattr(value, "source", None), kind):
        return f"pass the traces that it was computed from: tk.{call}(result.source)"
    if hasattr(value, "statement"):
        return "pass the traces that the result was computed from"
    return "pass what tk.read or tk.load_sample returns"
