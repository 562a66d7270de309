"""The blocks of segments, each distinct one parsed once: from raw JSON to attribute codes and resources.

``plain`` raises for a block that must be reported, so that the fast reader reports nothing about lines it returns.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tracekit.loading.building.ledger import NOWHERE, Position
from tracekit.loading.records import MAX_DEPTH, parse
from tracekit.loading.xray import fields as xray_fields
from tracekit.loading.xray import sql as xray_sql
from tracekit.loading.xray.segment import NOTHING
from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from msgspec import Raw

    from tracekit.loading.building.builder import Builder
    from tracekit.loading.xray.segment import Members

BLOCKS_KEPT = 100_000  # of each kind; beyond it all are dropped and parsed again

_LAMBDA = frozenset({"AWS::Lambda", "AWS::Lambda::Function"})
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode
_REQUEST_ID = re.compile(rb'"request_id": ?"([^"\\]*)"')
_REQUEST_KEY = "aws.request_id"
_REQUEST_MEMBER = re.compile(rb'"request_id"[ \t\r]*:[ \t\r]*("[^"\\]*")').fullmatch
_decoded_texts = msgspec.json.Decoder(list[str]).decode


def plain(raw: Raw | bytes) -> Any:
    """Return the value of a block, None for an empty one; ValueError for one that must be reported.

    A block that may nest deeply must be checked with its document.
    """
    data = bytes(raw)
    if data.count(b"{") + data.count(b"[") > MAX_DEPTH // 2:
        raise ValueError("expected a block that nests less deep")
    try:
        return _decode(data) if data else None
    except msgspec.MsgspecError as error:
        raise ValueError(str(error)) from error


def plain_object(raw: Raw | bytes) -> dict[str, Any]:
    """Return the fields of a block, {} for an empty one; ValueError for one that is not an object."""
    value = plain(raw)
    if value is not None and not isinstance(value, dict):
        raise ValueError(f"expected an object, found {type(value).__name__}")
    return value or {}


class ResourceKey(NamedTuple):
    """The fields that determine a segment's resource, including metadata of OpenTelemetry's exporter."""

    by_otel: bool
    name: str
    origin: str | None
    arn: str | None
    aws: bytes
    service: bytes
    metadata: bytes


def resource_key(root: Members) -> ResourceKey:
    """Return the fields that determine a segment's resource."""
    aws = bytes(root.aws)
    metadata = b"" if root.metadata is NOTHING else bytes(root.metadata)
    by_otel = b"pentelemetry" in aws or b"penTelemetry" in aws or b'"otel.resource.' in metadata
    service = bytes(root.service)
    return ResourceKey(by_otel, root.name, root.origin, root.resource_arn, aws, service, metadata if by_otel else b"")


class Blocks:
    """Turns the blocks of segments into attributes and resources.

    Parameters
    ----------
    builder
        Interns them; its ledger receives the issues.

    Attributes
    ----------
    at : Position
        The position of the present record, for issues.
    http, sql, annotations, metadata, otel_metadata : dict
        The attribute codes of blocks by their raw JSON, of metadata those of the SDK's and of OpenTelemetry's; new ones
        are opened.
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self.kv = builder.kv
        self.at: Position = NOWHERE
        self.http = Interned(self, "http", xray_fields.http)
        self._members = _Members(builder)
        self._calls = _Calls(self._members)
        self.sql = Interned(self, "sql", xray_sql.sql)
        self.annotations = Interned(self, "annotations", xray_fields.indexed)
        self.metadata = Interned(self, "metadata", xray_fields.metadata)
        self.otel_metadata = Interned(self, "metadata", xray_fields.otel_metadata)
        self._resources: dict[ResourceKey, tuple[int, tuple[int, ...]]] = {}

    def open(self, raw: Raw | bytes) -> tuple[Any, bool]:
        """Return the value of a block, and whether it is regular."""
        try:
            return _decode(raw), True
        except (msgspec.MsgspecError, ValueError):
            parsed = parse(bytes(raw))
        for note in (*parsed.notes, *([parsed.failure] if parsed.failure else [])):
            self._builder.ledger.issue(
                note.code, note.message, at=self.at, action=note.action, severity=note.severity, raw=note.raw
            )
        return parsed.value, False

    def intern(self, name: str, function: Callable[..., list[int]], raw: bytes) -> tuple[tuple[int, ...], bool]:
        """Return the codes of a block, and whether they can be reused for an equal block."""
        value, is_plain = self.open(raw)
        if value is None:
            return (), is_plain
        if isinstance(value, dict):
            return tuple(function(self.kv, value)), is_plain
        return (self._odd(name, value),), False

    def _odd(self, name: str, value: Any) -> int:
        """Return the code of a block that is not an object, and report it."""
        message = (
            f"expected an object, found {type(value).__name__} {value!r:.80}; kept as the attribute aws.xray.{name}"
        )
        self._builder.ledger.issue("ATTR_BAD", message, at=self.at, field=name)
        return self.kv(f"aws.xray.{name}", value, Origin.AWS)

    # ---------------------------------------------------------------- blocks of a part

    def call(self, part: Members) -> list[int]:
        """Return the codes of the ``aws`` block of a call."""
        if part.aws is NOTHING:
            return []
        block, codes, _ = self._object("aws", part.aws)
        return codes + self._members.codes(block)

    def calls(self, raws: Iterable[bytes]) -> list[Sequence[int]]:
        """Return the codes of the ``aws`` blocks of many calls; ValueError for one that must be reported."""
        return list(map(self._calls.of, raws))

    def members_of_calls(self, raws: Sequence[bytes]) -> list[Sequence[int]]:
        """Return the codes of distinct members of the ``aws`` blocks of calls, or of whole blocks, as they are written.

        ValueError for one that must be reported.
        """
        found = [_REQUEST_MEMBER(raw) for raw in raws]
        ids = _decoded_texts(b"[%b]" % b",".join([one[1] for one in found if one]))
        codes = iter(self._builder.attributes.extend_texts(_REQUEST_KEY, ids, Origin.AWS))
        return [
            [next(codes)] if one else self._calls.of(b"{%b}" % raw if raw.startswith(b'"') else raw)
            for one, raw in zip(found, raws, strict=True)
        ]

    def misplaced(self, part: Members) -> list[int]:
        """Return the codes of a subsegment's fields that only segments should have."""
        pairs = [("origin", part.origin), ("resource_arn", part.resource_arn)]
        pairs += [("type", part.type if part.type != "subsegment" else None)]
        service, codes, _ = self._object("service", part.service)
        pairs += [(f"service.{key}", value) for key, value in service.items()]
        return codes + [self.kv(f"aws.xray.{key}", value, Origin.AWS) for key, value in pairs if value is not None]

    def attributes(self, part: Members, metadata: Interned | None) -> list[int]:
        """Return the codes of a part's own blocks, its metadata from this table."""
        codes: list[int] = []
        if part.http is not NOTHING:
            codes += self.http[bytes(part.http)]
        if part.annotations is not NOTHING:
            codes += self.annotations[bytes(part.annotations)]
        if part.metadata is not NOTHING and metadata is not None:
            codes += metadata[bytes(part.metadata)]
        if part.sql is not NOTHING:
            codes += self.sql[bytes(part.sql)]
        if not part.user is part.precursor_ids is part.traced is NOTHING:
            codes += self.rest(part, lambda raw: self.open(raw)[0])
        return codes

    def rest(self, part: Members, value_of: Callable[[Raw], Any]) -> list[int]:
        """Return the codes of rare fields."""
        named = (
            ("enduser.id", part.user),
            ("aws.xray.precursor_ids", part.precursor_ids),
            ("aws.xray.traced", part.traced),
        )
        pairs = [(key, value_of(raw)) for key, raw in named if raw is not NOTHING]
        return [self.kv(key, value, Origin.AWS) for key, value in pairs if value is not None]

    # ---------------------------------------------------------------- a segment's resource

    def check_resources(self, roots: Iterable[Members], keys: Iterable[ResourceKey]) -> None:
        """Raise ValueError if the resource of a segment must be reported; no resource is created."""
        for root, key in zip(roots, keys, strict=True):
            if key not in self._resources:
                for raw in (root.aws, root.service, root.metadata if key.by_otel else NOTHING):
                    plain_object(raw)

    def resource(self, root: Members, key: ResourceKey) -> tuple[int, tuple[int, ...]]:
        """Return the resource of a segment, and the codes about the call from its blocks.

        Metadata of OpenTelemetry's exporter is both, and its codes are included here.
        """
        known = self._resources.get(key)
        if known is None:
            known, is_plain = self._make_resource(root, by_otel=key.by_otel)
            if len(self._resources) >= BLOCKS_KEPT:
                self._resources.clear()
            if is_plain:
                self._resources[key] = known
        return known

    def _make_resource(self, root: Members, *, by_otel: bool) -> tuple[tuple[int, tuple[int, ...]], bool]:
        """Return the resource and call codes of a segment, and whether they can be reused."""
        kv = self.kv
        opened = [self._object(name, raw) for name, raw in (("aws", root.aws), ("service", root.service))]
        (aws, loose, _), (service, loose_service, _) = opened
        host, call = xray_fields.host(aws)
        facts = {"service.name": root.name, **xray_fields.service(service)}
        otel: dict[str, Any] = {}
        codes = [*loose, *loose_service, *self._members.codes(call)]
        if by_otel:
            metadata, loose, is_plain = self._object("metadata", root.metadata)
            opened.append((metadata, loose, is_plain))
            otel = xray_fields.otel_resource(metadata)
            codes += loose + xray_fields.otel_metadata(kv, metadata)
        for key, value in host.items():
            facts["aws.xray." * (key in facts) + key] = value
        resource = [kv(key, value, Origin.METADATA) for key, value in otel.items()]
        resource += [kv(key, value, Origin.AWS) for key, value in facts.items() if key not in otel]
        resource += [kv(key, value, Origin.AWS) for key, value in xray_fields.origin(root.origin, root.resource_arn)]
        if root.origin in _LAMBDA:
            codes.append(kv("faas.name", root.name, Origin.DERIVED))
            if "request_id" in call:
                codes.append(kv("faas.invocation_id", call["request_id"], Origin.DERIVED))
        return (self._builder.resource(resource), tuple(codes)), all(is_plain for _, _, is_plain in opened)

    def _object(self, name: str, raw: Raw) -> tuple[dict[str, Any], list[int], bool]:
        """Return a block as an object, the codes if it is not one, and whether it is regular."""
        if raw is NOTHING:
            return {}, [], True
        value, is_plain = self.open(raw)
        if isinstance(value, dict):
            return value, [], is_plain
        return {}, [] if value is None else [self._odd(name, value)], is_plain and value is None


class _Members(dict[tuple[str, str | bytes], list[int]]):
    """The codes of the fields of ``aws`` blocks: texts by value, lists by their JSON."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()
        self.kv = builder.kv

    def codes(self, block: dict[str, Any]) -> list[int]:
        """Return the codes of a block; request ids are unique and not cached."""
        codes: list[int] = []
        for item in block.items():
            member, value = item
            if value.__class__ is str and member != "request_id":
                codes += self[item]
            elif value.__class__ is list and (written := _written(value)):
                codes += self[member, written]
            else:
                codes += xray_fields.call(self.kv, member, value)
        return codes if "table_names" not in block else list(dict.fromkeys(codes))

    def __missing__(self, item: tuple[str, str | bytes]) -> list[int]:
        member, value = item
        codes = xray_fields.call(self.kv, member, _decode(value) if isinstance(value, bytes) else value)
        if len(self) >= BLOCKS_KEPT:
            self.clear()
        self[item] = codes
        return codes


def _written(value: list[Any]) -> bytes:
    """Return a list as JSON, nothing if it contains an integer that is too long for it."""
    try:
        return _encode(value)
    except TypeError:
        return b""


class _Calls(dict[bytes, tuple[list[int], list[int]]]):
    """The codes of ``aws`` blocks without the request id, which is unique.

    The key is the block's JSON without the id; the value has the codes before and after it.
    """

    def __init__(self, members: _Members) -> None:
        super().__init__()
        self._members = members

    def of(self, raw: bytes) -> Sequence[int]:
        """Return the codes of a block; ValueError if it must be reported."""
        found = _REQUEST_ID.search(raw)
        if found is None:
            return self._members.codes(plain_object(raw))
        start, end = found.span(1)
        cut = raw[:start] + raw[end:]
        known = self.get(cut) or self._learn(cut)
        if known is None:
            return self._members.codes(plain_object(raw))
        return [*known[0], self._members.kv(_REQUEST_KEY, raw[start:end].decode(), Origin.AWS), *known[1]]

    def _learn(self, cut: bytes) -> tuple[list[int], list[int]] | None:
        """Return the codes around the removed request id; None if that is not a plain field of the block."""
        block = plain_object(cut)
        if block.get("request_id") != "" or cut.count(b"request_id") > 1 or "table_names" in block:
            return None
        items = list(block.items())
        at = list(block).index("request_id")
        if len(self) >= BLOCKS_KEPT:
            self.clear()
        self[cut] = self._members.codes(dict(items[:at])), self._members.codes(dict(items[at + 1 :]))
        return self[cut]


class Interned(dict[bytes, tuple[int, ...]]):
    """The codes of blocks of one kind by their raw JSON; a new block is parsed."""

    def __init__(self, blocks: Blocks, name: str, function: Callable[..., list[int]]) -> None:
        super().__init__()
        self._blocks = blocks
        self._name = name
        self._function = function

    def __missing__(self, raw: bytes) -> tuple[int, ...]:
        codes, may_stay = self._blocks.intern(self._name, self._function, raw)
        if may_stay:
            self._keep(raw, codes)
        return codes

    def of(self, raws: Sequence[bytes]) -> list[tuple[int, ...]]:
        """Return the codes of many blocks; ValueError for one that must be reported."""
        for raw in dict.fromkeys(one for one in raws if one not in self):  # in order: a set's depends on the process
            self._keep(raw, tuple(self._function(self._blocks.kv, plain_object(raw))))
        return list(map(self.__getitem__, raws))

    def _keep(self, raw: bytes, codes: tuple[int, ...]) -> None:
        """Cache the codes of a block."""
        if len(self) >= BLOCKS_KEPT:
            self.clear()
        self[raw] = codes
