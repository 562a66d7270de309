"""The blocks of segments, each distinct one opened once: raw JSON in, attribute codes and resources out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from tracekit.loading import xray_fields, xray_sql
from tracekit.loading.ledger import NOWHERE, Position
from tracekit.loading.records import parse
from tracekit.loading.xray_segment import NOTHING
from tracekit.schema import Origin

if TYPE_CHECKING:
    from collections.abc import Callable

    from msgspec import Raw

    from tracekit.loading.builder import Builder
    from tracekit.loading.xray_segment import Segment

BLOCKS_KEPT = 100_000  # of each sort; beyond it all are forgotten and opened again

_LAMBDA = frozenset({"AWS::Lambda", "AWS::Lambda::Function"})
_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode


class Blocks:
    """Turns the blocks of segments into attributes and resources.

    Parameters
    ----------
    builder
        Interns them; its ledger takes what is wrong.

    Attributes
    ----------
    at : Position
        Where the record in work stands; for remarks.
    metadata, otel_metadata : dict
        The attribute codes of metadata by their raw JSON, of the SDK's and of OpenTelemetry's; new ones are opened.

    Examples
    --------
    >>> from tracekit.loading.builder import Builder
    >>> blocks = Blocks(Builder())
    >>> blocks.metadata[b'{"debug":{"note":"x"}}'] == blocks.metadata[b'{"debug":{"note":"x"}}']
    True
    """

    def __init__(self, builder: Builder) -> None:
        self._builder = builder
        self._kv = builder.kv
        self.at: Position = NOWHERE
        self._http = Interned(self, "http", xray_fields.http)
        self._members = _Members(builder)
        self._sql = Interned(self, "sql", xray_sql.sql)
        self._annotations = Interned(self, "annotations", xray_fields.indexed)
        self.metadata = Interned(self, "metadata", xray_fields.metadata)
        self.otel_metadata = Interned(self, "metadata", xray_fields.otel_metadata)
        self._resources: dict[tuple[Any, ...], tuple[int, tuple[int, ...]]] = {}

    def open(self, raw: Raw | bytes) -> tuple[Any, bool]:
        """Return the value of a block, and whether there is nothing to remark on it."""
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
        """Return the codes of a block, and whether they may be kept for the next one like it."""
        value, is_plain = self.open(raw)
        if value is None:
            return (), is_plain
        if isinstance(value, dict):
            return tuple(function(self._kv, value)), is_plain
        return (self._odd(name, value),), False

    def _odd(self, name: str, value: Any) -> int:
        """Return the code of a block that is no object, and say so."""
        message = (
            f"expected an object, found {type(value).__name__} {value!r:.80}; kept as the attribute aws.xray.{name}"
        )
        self._builder.ledger.issue("ATTR_BAD", message, at=self.at, field=name)
        return self._kv(f"aws.xray.{name}", value, Origin.AWS)

    # ---------------------------------------------------------------- a part's own

    def call(self, part: Segment) -> list[int]:
        """Return the codes of the ``aws`` block of a call."""
        if part.aws is NOTHING:
            return []
        block, codes, _ = self._object("aws", part.aws)
        return codes + self._members.codes(block)

    def misplaced(self, part: Segment) -> list[int]:
        """Return the codes of members of a subsegment that only segments have."""
        pairs = [("origin", part.origin), ("resource_arn", part.resource_arn)]
        pairs += [("type", part.type if part.type != "subsegment" else None)]
        service, codes, _ = self._object("service", part.service)
        pairs += [(f"service.{key}", value) for key, value in service.items()]
        return codes + [self._kv(f"aws.xray.{key}", value, Origin.AWS) for key, value in pairs if value is not None]

    def attributes(self, part: Segment, metadata: Interned | None) -> list[int]:
        """Return the codes of the blocks of a part that are about itself, its metadata from this table."""
        codes: list[int] = []
        if part.http is not NOTHING:
            codes += self._http[bytes(part.http)]
        if part.annotations is not NOTHING:
            codes += self._annotations[bytes(part.annotations)]
        if part.metadata is not NOTHING and metadata is not None:
            codes += metadata[bytes(part.metadata)]
        if not part.sql is part.user is part.precursor_ids is part.traced is NOTHING:
            codes += self._rest(part)
        return codes

    def _rest(self, part: Segment) -> list[int]:
        """Return the codes of what few parts have."""
        codes: list[int] = []
        if part.sql is not NOTHING:
            codes += self._sql[bytes(part.sql)]
        for key, raw in (
            ("enduser.id", part.user),
            ("aws.xray.precursor_ids", part.precursor_ids),
            ("aws.xray.traced", part.traced),
        ):
            if raw is not NOTHING:
                codes += self._plain(key, raw)
        return codes

    def _plain(self, key: str, raw: Raw) -> list[int]:
        """Return a member as one attribute."""
        value = self.open(raw)[0]
        return [] if value is None else [self._kv(key, value, Origin.AWS)]

    # ---------------------------------------------------------------- a segment's resource

    def is_by_otel(self, root: Segment) -> bool:
        """Return whether OpenTelemetry's exporter wrote a document."""
        sdk = bytes(root.aws)
        return b"pentelemetry" in sdk or b"penTelemetry" in sdk or b'"otel.resource.' in bytes(root.metadata)

    def resource(self, root: Segment, *, by_otel: bool) -> tuple[int, tuple[int, ...]]:
        """Return the resource of a segment, and the codes of what its blocks say about the call.

        The metadata that OpenTelemetry's exporter writes are both, so they are among the codes here.
        """
        metadata = bytes(root.metadata) if by_otel else b""
        key = (root.name, root.origin, root.resource_arn, bytes(root.aws), bytes(root.service), metadata)
        known = self._resources.get(key)
        if known is None:
            known, is_plain = self._make_resource(root, by_otel=by_otel)
            if len(self._resources) >= BLOCKS_KEPT:
                self._resources.clear()
            if is_plain:
                self._resources[key] = known
        return known

    def _make_resource(self, root: Segment, *, by_otel: bool) -> tuple[tuple[int, tuple[int, ...]], bool]:
        """Return the resource and call codes of a segment, and whether they may be kept."""
        kv = self._kv
        opened = [self._object(name, raw) for name, raw in (("aws", root.aws), ("service", root.service))]
        (aws, loose, _), (service, loose_service, _) = opened
        host, call = xray_fields.host(aws)
        facts = {"service.name": root.name, **xray_fields.service(service)}
        told: dict[str, Any] = {}
        codes = [*loose, *loose_service, *self._members.codes(call)]
        if by_otel:
            metadata, loose, is_plain = self._object("metadata", root.metadata)
            opened.append((metadata, loose, is_plain))
            told = xray_fields.otel_resource(metadata)
            codes += loose + xray_fields.otel_metadata(kv, metadata)
        for key, value in host.items():
            facts["aws.xray." * (key in facts) + key] = value
        resource = [kv(key, value, Origin.METADATA) for key, value in told.items()]
        resource += [kv(key, value, Origin.AWS) for key, value in facts.items() if key not in told]
        resource += [kv(key, value, Origin.AWS) for key, value in xray_fields.origin(root.origin, root.resource_arn)]
        if root.origin in _LAMBDA:
            codes.append(kv("faas.name", root.name, Origin.DERIVED))
            if "request_id" in call:
                codes.append(kv("faas.invocation_id", call["request_id"], Origin.DERIVED))
        return (self._builder.resource(resource), tuple(codes)), all(is_plain for _, _, is_plain in opened)

    def _object(self, name: str, raw: Raw) -> tuple[dict[str, Any], list[int], bool]:
        """Return a block as an object, the codes of one that is none, and whether there is nothing to remark on it."""
        if raw is NOTHING:
            return {}, [], True
        value, is_plain = self.open(raw)
        if isinstance(value, dict):
            return value, [], is_plain
        return {}, [] if value is None else [self._odd(name, value)], is_plain and value is None


class _Members(dict[tuple[str, str | bytes], list[int]]):
    """The codes of every member of an ``aws`` block that was seen: texts by their value, lists by their JSON."""

    def __init__(self, builder: Builder) -> None:
        super().__init__()
        self._kv = builder.kv

    def codes(self, block: dict[str, Any]) -> list[int]:
        """Return the codes of a block; request ids never come twice, so they are not remembered."""
        codes: list[int] = []
        for item in block.items():
            member, value = item
            if value.__class__ is str and member != "request_id":
                codes += self[item]
            elif value.__class__ is list:
                codes += self[member, _encode(value)]
            else:
                codes += xray_fields.call(self._kv, member, value)
        return codes if "table_names" not in block else list(dict.fromkeys(codes))

    def __missing__(self, item: tuple[str, str | bytes]) -> list[int]:
        member, value = item
        codes = xray_fields.call(self._kv, member, _decode(value) if isinstance(value, bytes) else value)
        if len(self) >= BLOCKS_KEPT:
            self.clear()
        self[item] = codes
        return codes


class Interned(dict[bytes, tuple[int, ...]]):
    """The codes of every block of one sort that was seen, by its raw JSON; a block not seen yet is opened."""

    def __init__(self, blocks: Blocks, name: str, function: Callable[..., list[int]]) -> None:
        super().__init__()
        self._blocks = blocks
        self._name = name
        self._function = function

    def __missing__(self, raw: bytes) -> tuple[int, ...]:
        codes, may_stay = self._blocks.intern(self._name, self._function, raw)
        if may_stay:
            if len(self) >= BLOCKS_KEPT:
                self.clear()
            self[raw] = codes
        return codes
