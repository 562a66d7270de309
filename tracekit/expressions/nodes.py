"""The X-Ray service map of every trace: the segments of services, and their callers.

X-Ray records mark their segments. For spans of any other format the rule of OpenTelemetry's X-Ray exporter applies: a
segment is a root, a SERVER or CONSUMER span, or the first span in another service. As in X-Ray, a call without a
segment of the callee has an inferred segment, represented by the calling span.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from tracekit.attributes import Codes, pick
from tracekit.schema import Kind, RecordKind

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet

_TYPES = {
    "aws_ec2": "AWS::EC2::Instance",
    "aws_ecs": "AWS::ECS::Container",
    "aws_eks": "AWS::EKS::Container",
    "aws_lambda": "AWS::Lambda::Function",
    "aws_elastic_beanstalk": "AWS::ElasticBeanstalk::Environment",
    "aws_app_runner": "AWS::AppRunner::Service",
}


@dataclass(frozen=True)
class Nodes:
    """The segments of all traces.

    Parameters
    ----------
    row
        int64, one per node: its main span.
    owner
        int64, one per span: its node.
    caller
        int64, one per node: the node of its caller, -1 for none.
    name, type, account
        One per node: service, its X-Ray type (``AWS::EC2::Instance``), AWS account.
    """

    row: Array
    owner: Array
    caller: Array
    name: Codes
    type: Codes
    account: Codes


def nodes_of(traces: TraceSet) -> Nodes:
    """Return the service map of every trace."""
    parent = traces.forest.parent_row
    begins = _begins(traces)
    segment = np.flatnonzero(begins)
    silent = np.flatnonzero(_unanswered(traces, begins))
    node = np.full(len(parent), -1, np.int64)
    node[segment] = np.arange(len(segment))
    owner = node[_nearest(begins, parent)]
    above = parent[segment]
    caller = np.where(above >= 0, owner[above], -1)
    row = np.concatenate([segment, silent])
    service, peer = traces.codes("service_name"), traces.codes("peer_service_name")
    is_silent = np.arange(len(row)) >= len(segment)
    own = Codes(np.where(is_silent, -1, service.codes[row]), service.labels)
    return Nodes(
        row,
        owner,
        np.concatenate([caller, owner[silent]]),
        pick([own, Codes(np.where(is_silent, peer.codes[row], -1), peer.labels)])[0],
        _only(_types(traces).take(row), ~is_silent),
        _only(traces.codes("cloud_account_id").take(row), ~is_silent),
    )


def _begins(traces: TraceSet) -> Array:
    """Return whether a span begins a segment."""
    spans, parent = traces.columns.spans, traces.forest.parent_row
    service = traces.codes("service_name").codes
    inbound = (spans.kind == Kind.SERVER) | (spans.kind == Kind.CONSUMER)
    moved = service != service[parent]  # a root compares with the last row, and begins one anyway
    is_plain = spans.record_kind == RecordKind.SPAN
    is_part = spans.record_kind == RecordKind.SUBSEGMENT
    return np.asarray((parent < 0) | (is_plain & (inbound | moved)) | ~(is_plain | is_part))


def _unanswered(traces: TraceSet, begins: Array) -> Array:
    """Return whether a span calls a service without a recorded segment."""
    spans, parent = traces.columns.spans, traces.forest.parent_row
    answered = np.zeros(len(parent), bool)
    answered[parent[begins & (parent >= 0)]] = True
    outbound = (spans.kind == Kind.CLIENT) | (spans.kind == Kind.PRODUCER)
    is_inferred = spans.record_kind == RecordKind.INFERRED
    return np.asarray(outbound & ~answered & ~is_inferred & (traces.codes("peer_service_name").codes >= 0))


def _nearest(begins: Array, parent: Array) -> Array:
    """Return for every span the first span of its segment: itself or the nearest ancestor, by pointer doubling."""
    nearest = np.where(begins, np.arange(len(parent)), parent)
    while not np.array_equal(nearest, nearest[nearest]):
        nearest = nearest[nearest]
    return np.asarray(nearest)


def _types(traces: TraceSet) -> Codes:
    """Return the X-Ray type of the service of every span: as recorded, else from its platform."""
    platform = traces.codes("cloud_platform")
    labels = [_TYPES.get(label, "") for label in platform.labels]
    known = np.array([bool(label) for label in labels] + [False])[platform.codes]
    return pick([traces.codes("xray_origin"), Codes(np.where(known, platform.codes, -1), labels)])[0]


def _only(codes: Codes, rows: Array) -> Codes:
    """Return the codes where the mask is true, -1 elsewhere."""
    return Codes(np.where(rows, codes.codes, -1), codes.labels)
