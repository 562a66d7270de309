"""Collapsed stacks: ``trace_id=...;span_id=...;main;work 12``, one line per stack."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tracekit.loading.profiles.labels import Ids, ids_of, kind_of

if TYPE_CHECKING:
    from tracekit.loading.profiles.collect import Collector

_LINE: Final = re.compile(r"(.+?)[ \t]+([0-9]{1,19})[ \t]*")


def is_collapsed(head: str) -> bool:
    """Return whether text begins like collapsed stacks."""
    first = next((line for line in head.splitlines() if line.strip()), "")
    return _LINE.fullmatch(first) is not None


def read_collapsed(data: bytes, collector: Collector, value: str | None) -> None:
    """Add the stacks of a text; ids are leading frames ``key=value``."""
    collector.describe(value or "samples", "count")
    text = data.decode("utf-8", "replace").removeprefix("\ufeff")
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line.rstrip("\r"))
        if found is None:
            collector.issue(number, f"expected frames joined by ';' and a count, found {line[:60]!r}; left out")
            continue
        labels, stack = _parts(found[1].split(";"))
        try:
            ids = ids_of(list(labels))
        except ValueError as error:
            collector.issue(number, f"{error}; counted without ids")
            ids = Ids()
        try:
            collector.add(ids, int(found[2]), stack)
        except ValueError as error:
            collector.issue(number, f"{error}; left out")


def _parts(frames: list[str]) -> tuple[list[tuple[str, int | str | bytes]], tuple[str, ...]]:
    """Return the leading ids and the functions."""
    labels: list[tuple[str, int | str | bytes]] = []
    for at, frame in enumerate(frames):
        key, is_pair, value = frame.partition("=")
        if not is_pair or kind_of(key.strip()) is None:
            return labels, tuple(name.strip() or "(no name)" for name in frames[at:])
        labels.append((key.strip(), value.strip()))
    return labels, ()
