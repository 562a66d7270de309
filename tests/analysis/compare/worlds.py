"""Requests of a shop that two sides of a comparison see: self times and failures are known."""

import numpy as np
import pandas as pd

from tracekit import TraceSet

_ID = 2**32


def shop(rng, n, *, slow_ms=0.0, extra=0, failing=0.02, refunds=0.0, start_s=0, prefix=1):
    """Checkouts: shop (root) calls ledger once (and ``extra`` times more), ledger calls its database.

    ``slow_ms`` is added to the database; ``failing`` of the ledger calls fail; ``refunds`` of the requests call refund.
    """
    calls = 1 + np.full(n, extra)
    rows = []
    own = np.exp(rng.normal(1.5, 0.4, (n, 3))) * 1e6
    begin = start_s * 10**9 + np.sort(rng.uniform(0, 600, n) * 1e9)
    for at in range(n):
        trace, t = f"{prefix * _ID * 256 + at + 1:032x}", int(begin[at])
        db = int(own[at, 2] + slow_ms * 1e6)
        each = int(own[at, 1]) + db
        total = int(own[at, 0]) + each * int(calls[at])
        refund = rng.random() < refunds
        rows.append((trace, f"{at * 64 + 1:016x}", None, "shop", "POST /checkout", "SERVER", t, t + total, "UNSET"))
        now = t + int(own[at, 0]) // 2
        for k in range(int(calls[at])):
            root, client, server, query = (
                f"{at * 64 + 1 + step:016x}" for step in (0, 4 * k + 1, 4 * k + 2, 4 * k + 3)
            )
            status = "ERROR" if rng.random() < failing else "UNSET"
            rows.append((trace, client, root, "shop", "POST", "CLIENT", now, now + each, status))
            rows.append((trace, server, client, "ledger", "POST /book", "SERVER", now, now + each, status))
            rows.append((trace, query, server, "ledger", "INSERT", "CLIENT", now + 1, now + 1 + db, "UNSET"))
            now += each
        if refund:
            rows.append(
                (
                    trace,
                    f"{at * 64 + 60:016x}",
                    f"{at * 64 + 1:016x}",
                    "shop",
                    "refund",
                    "INTERNAL",
                    t,
                    t + 1000,
                    "UNSET",
                )
            )
    names = [
        "trace_id",
        "span_id",
        "parent_span_id",
        "service_name",
        "name",
        "kind",
        "start_ns",
        "end_ns",
        "status_code",
    ]
    frame = pd.DataFrame(rows, columns=names)
    frame["attributes.db.system.name"] = np.where(frame["name"] == "INSERT", "postgresql", None)
    return TraceSet.from_spans(frame)
