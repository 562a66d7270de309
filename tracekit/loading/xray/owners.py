"""Whose resource an independent subsegment has: that of the segment it belongs to, which may come later, or never."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracekit.loading.building.builder import Builder

SPANS_KEPT = 500_000  # of the most recent documents; about 100 MB


class Owners:
    """Finds the resource of subsegments that were sent on their own.

    The SDKs send a large segment in pieces, subsegments first.  A subsegment whose parent is not known yet gets a
    provisional resource of the builder, settled when the parent comes; one never settled has the empty resource.

    Parameters
    ----------
    builder
        Gives and settles provisional resources.

    Examples
    --------
    >>> from tracekit.loading.building.builder import Builder
    >>> owners = Owners(Builder())
    >>> first = owners.of(1, 7)
    >>> first < 0, owners.of(1, 7) == first
    (True, True)
    >>> owners.learn(1, [7], 5)
    >>> owners.of(1, 7)
    5
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._known: dict[tuple[int, int], int] = {}
        self._waiting: dict[tuple[int, int], int] = {}
        self._same: dict[int, list[int]] = {}
        self._final: dict[int, int] = {}

    def of(self, trace_id: int, parent_id: int) -> int:
        """Return the resource of the span that is the parent, or a provisional one."""
        key = trace_id, parent_id
        resource = self._known.get(key)
        if resource is not None:
            return self._final.get(resource, resource)
        if key not in self._waiting:
            self._waiting[key] = self._builder.provisional_resource()
        return self._waiting[key]

    def learn(self, trace_id: int, span_ids: Iterable[int], resource: int) -> None:
        """Note the resource of the spans of a document, and settle what waited for one of them."""
        for span_id in span_ids:
            key = trace_id, span_id
            self._known[key] = resource
            if self._waiting:
                code = self._waiting.pop(key, resource)
                if code != resource:
                    self._settle(code, resource)
        if len(self._known) > SPANS_KEPT:
            for key in list(islice(self._known, len(self._known) - SPANS_KEPT // 2)):
                del self._known[key]

    def _settle(self, code: int, resource: int) -> None:
        """Say what a provisional resource is, and those that are the same; one may turn out to be another's."""
        resource = self._final.get(resource, resource)
        if resource < 0:
            self._same.setdefault(resource, []).append(code)
            return
        todo = [code]
        while todo:
            code = todo.pop()
            self._final[code] = resource
            self._builder.settle(code, resource)
            todo += self._same.pop(code, [])
