"""The compiled lane of Zipkin: the columns that the extension makes of spans become a batch.

Endpoints become attributes by the function of the Python lane (``loader.py``), each distinct one once; that lane reads
every record with anything unexpected.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np

from tracekit.loading.building.batches import joined, ragged
from tracekit.loading.building.scanned import Found, Records
from tracekit.loading.loader import Taken
from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracekit.columns import Array
    from tracekit.loading.building.builder import Builder
    from tracekit.loading.loader import Place
    from tracekit.loading.records import Line, Lines

_BEGINNING = re.compile(
    rb'\s*(?:\[\s*){0,2}\{\s*"(?:traceId|id|parentId|name|kind|timestamp|duration|localEndpoint|remoteEndpoint|tags'
    rb'|annotations|binaryAnnotations|shared|debug)"'
).match
_COLUMNS: dict[str, Any] = {**dict.fromkeys(("local", "remote"), np.int32), "v1": np.int64}
_PEERS = ("server", "client")


def _begins(data: bytes) -> bool:
    """Return whether a line begins like a span, or a list of spans."""
    return _BEGINNING(data) is not None


class Scanner(Records):
    """Loads records into a builder.

    Parameters
    ----------
    builder
        Receives the spans.
    address
        The function of the Python lane that returns the address and the port of an endpoint, by side and name.
    extension
        The module ``tracekit.loading.native._scan``.
    """

    takes = begins = staticmethod(_begins)

    def __init__(
        self, builder: Builder, address: Callable[[str, str, dict[str, Any]], list[tuple[str, Any]]], extension: Any
    ) -> None:
        super().__init__(builder, extension, "zipkin", Origin.TAG)
        self._address = address
        self._locals: dict[bytes, tuple[int, list[int]]] = {}
        self._remotes: dict[tuple[bytes, bool], list[int]] = {}

    def load_list(self, data: bytes, place: Place) -> Taken:
        """Load the first items of a list, as many as it can."""
        found = Found(self._extension.scan_zipkin_items(data), _COLUMNS)
        starts, stops = np.frombuffer(found.made["places"], np.int64).reshape(-1, 2).T
        if not len(starts):
            return Taken(may_be_cut=True)
        numbers = place.number(0) + np.arange(len(starts)) * (not place.line)
        self._give(self._known(found, data), np.column_stack((numbers, place.offset + starts)))
        return Taken(int(stops[-1]), len(starts))

    def scan_whole(self, lines: Lines) -> bool:
        """Load a chunk if all its lines are read; return whether it did."""
        found = Found(self._extension.scan_zipkin_lines(lines.data), _COLUMNS)
        starts = found["line_start"]
        if len(found["other_number"]) or not len(starts):
            return False
        at = np.column_stack((lines.first_line + found["line_number"], lines.first_offset + starts))
        self._give(self._known(found, lines.data), at)
        return True

    def _columns(self, lines: Sequence[Line]) -> _Columns:
        data = b"".join([line.data for line in lines])
        ends = np.cumsum([len(line.data) for line in lines], dtype=np.int64)
        return self._known(Found(self._extension.scan_zipkin(data, ends.tobytes()), _COLUMNS), data)

    def _known(self, found: Found, data: bytes | memoryview) -> _Columns:
        """Return columns, and what their codes of attributes mean."""
        codes = self._learn(self._learned(data, found.made["distinct_attributes"]))
        return _Columns(found, np.frombuffer(self._kv, np.int32)[codes] if len(codes) else codes)

    def _give(self, columns: _Columns, places: Array) -> None:
        found = columns.found
        self._note("zipkin", found, places)
        if count := int(found["v1"].sum()):
            self._builder.ledger.dialect("zipkin_v1", count)
        endpoints = found.made["endpoints"]
        known = {code: self._local(endpoints[code] if code >= 0 else b"{}") for code in _used(found["local"])}
        far = {
            code: self._remote(endpoints[code >> 1], is_client=bool(code & 1))
            for code in _used(found["remote"])
            if code >= 0
        }
        far[-1] = []
        resource = np.zeros(max(known) + 2, np.int32)  # the last for -1
        for code, (number, _) in known.items():
            resource[code] = number
        batch = self._rows(columns, {"resource": resource[found["local"]]}, places)
        local, remote = (
            ragged([lists.get(code, []) for code in range(-1, max(lists) + 1)]).take(found[name] + 1)
            for name, lists in (("local", {code: codes for code, (_, codes) in known.items()}), ("remote", far))
        )
        batch.attributes = joined([local, remote, batch.attributes])
        self._builder.batch(batch)

    # ---------------------------------------------------------------- endpoints

    def _local(self, raw: bytes) -> tuple[int, list[int]]:
        """Return the resource of a span's own endpoint, and the attributes of its address."""
        if raw not in self._locals:
            kv = self._builder.kv
            endpoint = _decoded(raw)
            codes = [kv(key, value) for key, value in self._address("local", "network.local", endpoint)]
            service = endpoint.get("serviceName")
            self._locals[raw] = self._builder.resource([kv("service.name", service)] if service else []), codes
        return self._locals[raw]

    def _remote(self, raw: bytes, *, is_client: bool) -> list[int]:
        """Return the attributes of the other side's endpoint."""
        if (raw, is_client) not in self._remotes:
            kv = self._builder.kv
            endpoint = _decoded(raw)
            codes = [kv(key, value) for key, value in self._address("remote", _PEERS[is_client], endpoint)]
            if endpoint.get("serviceName"):
                codes.append(kv("peer.service", endpoint["serviceName"]))
            self._remotes[raw, is_client] = codes
        return self._remotes[raw, is_client]


_decoded = msgspec.json.Decoder(dict[str, Any]).decode


def _used(codes: Array) -> list[int]:
    """Return the distinct codes."""
    found: list[int] = np.unique(codes).tolist()
    return found


class _Columns:
    """The columns of some records, and the builder's codes of their attributes."""

    def __init__(self, found: Found, kv: Array) -> None:
        self.found, self.kv = found, kv

    def is_other(self, count: int) -> Array:
        """Return which of this many records are handed back."""
        other = np.zeros(count, bool)
        other[self.found["other_number"]] = True
        return other
