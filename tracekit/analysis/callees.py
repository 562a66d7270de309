"""The service that a span calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tracekit.attributes import Codes, pick

if TYPE_CHECKING:
    from tracekit.columns import Array


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
    rows = np.flatnonzero(parent >= 0)
    above = parent[rows]
    other = service.codes[rows] != service.codes[above]
    rows, above = rows[other], above[other]
    first, last = np.full(len(service.codes), len(service.labels)), np.full(len(service.codes), -1)
    np.minimum.at(first, above, service.codes[rows])
    np.maximum.at(last, above, service.codes[rows])
    return pick([Codes(np.where(first == last, last, -1).astype(np.int32), service.labels), peer])[0]
