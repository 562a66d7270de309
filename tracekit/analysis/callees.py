"""The service that a span calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.attributes import Codes, pick
from tracekit.forest import visible_parents

if TYPE_CHECKING:
    from tracekit.columns import Array
    from tracekit.traces import TraceSet


def callees(parent: Array, service: Codes, peer: Codes) -> Codes:
    """Return the service of the children of each span if it is exactly one other service, else the span's peer.

    Parameters
    ----------
    parent
        Row of the parent of the first spans, -1 without one; later rows (none, or nodes added to a tree) are no child.
    service, peer
        Service and named peer of each row.

    Returns
    -------
    Codes
        Missing where neither is known.

    Examples
    --------
    >>> service = Codes(np.array([0, 0, 1]), ["cart", "ledger"])
    >>> callees(np.array([-1, 0, 1]), service, Codes(np.full(3, -1), [])).series().tolist()
    [nan, 'ledger', nan]
    """
    own = service.codes[: len(parent)]
    rows = np.flatnonzero((own != service.codes[parent]) & (parent >= 0))
    above, called = parent[rows], own[rows]
    one = np.full(len(service.codes), -1, np.int32)
    one[above] = called
    one[above[one[above] != called]] = -1  # another child is in another service
    return pick([Codes(one, service.labels), peer])[0]


def called_services(traces: TraceSet) -> Codes:
    """Return the service that each span calls, past spans that a backend inferred.

    Examples
    --------
    >>> called_services(shop.trace("b2")).series().tolist()
    [nan, 'cart', nan, 'ledger', nan, 'postgresql']
    """
    up = visible_parents(traces.forest.parent_row, traces.is_inferred)
    return callees(up, traces.codes("service_name"), traces.codes("peer_service_name"))
