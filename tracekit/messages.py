"""Detection of spans that send or receive messages: asynchronous work that is not on the critical path.

X-Ray and many SDKs record a send as a CLIENT span and its handler as a SERVER span, so span kinds are not sufficient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit import semconv
from tracekit.schema import Kind

if TYPE_CHECKING:
    from tracekit.attributes import Codes
    from tracekit.columns import Array
    from tracekit.derived import Lookup

_OUTBOUND = (Kind.CLIENT, Kind.PRODUCER)
_INBOUND = (Kind.SERVER, Kind.CONSUMER)


def message_spans(look: Lookup) -> Array:
    """Return which spans send or receive messages, by span kind, attributes or AWS API."""
    found = look.any_of(Kind.PRODUCER, Kind.CONSUMER)
    if any(key in look.columns.kv.keys for key in semconv.MESSAGING_KEYS):
        found |= look.by_key.has(semconv.MESSAGING_KEYS)
    for key in semconv.INVOCATION_TYPE:
        found |= _named(look, key, frozenset({"event"}))
    if "aws.xray.origin" in look.columns.kv.keys:
        found |= _are_named(look.codes("xray_origin"), semconv.AWS_MESSAGES)
    is_aws = _named(look, "aws.xray.namespace", frozenset({"aws"}))
    for key in semconv.SPAN_KEYS["rpc_system_name"]:
        is_aws = is_aws | _named(look, key, frozenset({"aws-api"}))
    if is_aws.any():
        for key in semconv.AWS_CALL:
            found |= is_aws & _named(look, key, semconv.AWS_MESSAGES)
    return found


def are_messages(look: Lookup, sender: Array, receiver: Array) -> Array:
    """Return which pairs of an outgoing and an incoming span are messages rather than calls."""
    is_message = look.is_message[sender] | look.is_message[receiver]
    return np.asarray(is_message & look.any_of(*_OUTBOUND)[sender] & look.any_of(*_INBOUND)[receiver])


def _named(look: Lookup, key: str, wanted: frozenset[str]) -> Array:
    """Return which spans have an attribute with one of these names."""
    if key not in look.columns.kv.keys:  # common case
        return np.zeros(1, bool)
    return _are_named(look.by_key.codes_of((key,)), wanted)


def _are_named(names: Codes, wanted: frozenset[str]) -> Array:
    """Return which rows have one of these names, in any AWS notation."""
    return np.array([not wanted.isdisjoint(semconv.aws_names(label)) for label in names.labels] + [False])[names.codes]
