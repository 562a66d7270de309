"""OTLP profiles as JSON (v1development): samples whose links name a trace and a span.

Both layouts are read: stacks in the dictionary (``stackIndex``), and earlier ranges of the profile's
``locationIndices`` (``locationsStartIndex``, ``locationsLength``).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import TYPE_CHECKING, Any

from tracekit.errors import MISSHAPEN
from tracekit.loading.profiles.collect import chosen_value
from tracekit.loading.profiles.labels import Ids, id_of, ids_of, kind_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracekit.loading.profiles.collect import Collector

_BASE64 = {24: "trace_id", 12: "span_id"}  # lengths of ids as protobuf's own JSON has them


def is_otlp(head: str) -> bool:
    """Return whether text begins like OTLP profiles."""
    return head.startswith("{") and ('"resourceProfiles"' in head or '"dictionary"' in head)


def read_otlp(data: bytes, collector: Collector, value: str | None) -> None:
    """Add the samples of one document, or of one per line."""
    read_documents(_documents(data.decode("utf-8", "replace").removeprefix("\ufeff"), collector), collector, value)


def read_documents(documents: Iterable[dict[str, Any]], collector: Collector, value: str | None) -> None:
    """Add the samples of decoded documents."""
    number = 0
    for document in documents:
        for profile, tables in _profiles(document):
            try:
                types = profile.get("sampleType") or {}
                is_list = isinstance(types, list)
                names = [_value_type(tables, one) for one in (types if is_list else [types])]
                chosen = chosen_value(names, value)
                collector.describe(*names[chosen])
                samples = list(profile.get("samples") or profile.get("sample") or [])
            except MISSHAPEN as error:
                collector.issue(number, f"a profile is left out: {_said(error)}")
                continue
            for sample in samples:
                number += 1
                _add(number, sample, profile, tables, collector, chosen if is_list else None)


def _documents(text: str, collector: Collector) -> Iterator[dict[str, Any]]:
    """Yield the JSON documents; a damaged line is an issue if others can be read."""
    try:
        whole = json.loads(text)
    except (ValueError, RecursionError) as error:
        lines = [(number, line) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
        if len(lines) == 1 or not any(is_otlp(line.lstrip()) for _, line in lines[1:]):
            raise ValueError(f"expected JSON, found: {_said(error)}") from error
        for number, line in lines:
            try:
                found = json.loads(line)
                if not isinstance(found, dict):
                    raise ValueError(f"found {type(found).__name__}")  # noqa: TRY301, TRY004 - one issue per line
            except (ValueError, RecursionError) as damaged:
                collector.issue(number, f"expected a JSON document, {_said(damaged)}; line {number} left out")
                continue
            yield found
        return
    if not isinstance(whole, dict):
        raise ValueError(f"expected an object with resourceProfiles, found {type(whole).__name__}")  # noqa: TRY004 - of the file
    yield whole


def _profiles(document: dict[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield every profile with the tables that it refers to; ValueError if the layout is another one."""
    try:
        for resource in document.get("resourceProfiles") or []:
            for scope in resource.get("scopeProfiles") or []:
                for profile in scope.get("profiles") or []:
                    yield profile, document.get("dictionary") or profile
    except MISSHAPEN as error:
        raise ValueError(f"expected resourceProfiles with scopeProfiles and profiles: {_said(error)}") from error


def _value_type(tables: dict[str, Any], found: dict[str, Any]) -> tuple[str, str]:
    """Return name and unit of a sample type."""
    strings = tables["stringTable"]
    name, unit = (str(_entry(strings, _int(found.get(key, 0)))) for key in ("typeStrindex", "unitStrindex"))
    return name or "samples", unit or "count"


def _add(
    number: int,
    sample: Any,
    profile: dict[str, Any],
    tables: dict[str, Any],
    collector: Collector,
    chosen: int | None,
) -> None:
    """Add one sample, or the reason why not."""
    try:
        stack = _stack(sample, profile, tables)
        weight = _weight(sample, chosen)
        try:
            ids = _ids(sample, tables)
        except MISSHAPEN as error:
            collector.issue(number, f"sample {number:,}: {_said(error)}; counted without ids")
            ids = Ids()
        collector.add(ids, weight, stack)
    except MISSHAPEN as error:
        collector.issue(number, f"sample {number:,}: {_said(error)}; left out")


def _weight(sample: dict[str, Any], chosen: int | None) -> int:
    """Return the value of a sample: of the chosen type, or of all its times; one per time without values."""
    values = [_int(one) for one in sample.get("values") or sample.get("value") or []]
    times = sample.get("timestampsUnixNano") or []
    if not values and not times:
        raise ValueError("expected values or times, found neither")
    if not values:
        return len(times)
    return sum(values) if chosen is None else values[chosen]


def _stack(sample: dict[str, Any], profile: dict[str, Any], tables: dict[str, Any]) -> tuple[str, ...]:
    """Return the functions of a sample from the entry point down."""
    if "stackTable" in tables:
        indices = _entry(tables["stackTable"], _int(sample.get("stackIndex", 0))).get("locationIndices") or []
    else:
        first, size = (_int(sample.get(key, 0)) for key in ("locationsStartIndex", "locationsLength"))
        all_indices = profile.get("locationIndices") or []
        if first < 0 or size < 0 or first + size > len(all_indices):
            raise ValueError(f"expected a range of {len(all_indices):,} locations, found {size:,} from {first:,}")
        indices = all_indices[first : first + size]
    names: list[str] = []
    for one in reversed(indices):
        location = _entry(tables["locationTable"], _int(one))
        lines = location.get("lines") or location.get("line") or []
        for line in reversed(lines):
            function = _entry(tables["functionTable"], _int(line.get("functionIndex", 0)))
            names.append(str(_entry(tables["stringTable"], _int(function.get("nameStrindex", 0)))) or "(no name)")
        if not lines:
            names.append(f"0x{_int(location.get('address', 0)):x}")
    return tuple(names)


def _ids(sample: dict[str, Any], tables: dict[str, Any]) -> Ids:
    """Return the ids of a sample: of its link, otherwise of its attributes."""
    labels = []
    for index in sample.get("attributeIndices") or []:
        entry = _entry(tables["attributeTable"], _int(index))
        key = str(entry["key"] if "key" in entry else _entry(tables["stringTable"], _int(entry.get("keyStrindex", 0))))
        if kind_of(key) is not None:
            labels.append((key, _any_value(entry.get("value") or {})))
    ids = ids_of(labels)
    if "linkIndex" not in sample:
        return ids
    link = _entry(tables["linkTable"], _int(sample["linkIndex"]))
    names = (("trace_id", "traceId"), ("span_id", "spanId"))
    trace, span = (_link_id(key, link.get(name) or "") for key, name in names)
    if not span:
        return ids
    return Ids(trace >> 64, trace & ((1 << 64) - 1), span, ids.root_id)


def _link_id(key: str, text: str) -> int:
    """Return an id of a link: hex, as OTLP asks for, or base64."""
    if not text:
        return 0
    if _BASE64.get(len(text)) == key and text.endswith("="):
        return int.from_bytes(base64.b64decode(text, validate=True), "big")
    return id_of(key, text)


def _any_value(value: dict[str, Any]) -> int | str | bytes:
    """Return an attribute's value."""
    if "intValue" in value:
        return _int(value["intValue"])
    if "bytesValue" in value:
        if isinstance(value["bytesValue"], bytes):
            return value["bytesValue"]
        try:
            return base64.b64decode(str(value["bytesValue"]), validate=True)
        except binascii.Error as error:
            raise ValueError(f"expected base64, found {str(value['bytesValue'])[:40]!r}") from error
    return str(value.get("stringValue", ""))


def _entry(table: Any, index: int) -> Any:
    """Return an entry of a table; ValueError if there is none."""
    if not isinstance(table, list) or not 0 <= index < len(table):
        size = len(table) if isinstance(table, list) else 0
        raise ValueError(f"expected one of {size:,} entries, found index {index:,}")
    return table[index]


def _int(value: Any) -> int:
    """Return an integer of JSON, which may be text; ValueError otherwise."""
    if isinstance(value, bool) or not isinstance(value, (int, str)):
        raise ValueError(f"expected an integer, found {value!r:.40}")  # noqa: TRY004 - of the file
    return int(value)


def _said(error: BaseException) -> str:
    """Return an error in one line."""
    return f"{error if isinstance(error, ValueError) else repr(error)}"[:200]
