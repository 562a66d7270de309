"""Hand-drawn traces with known answers."""

import pandas as pd

from tracekit import TraceSet

#  ns  100        350  600      900 950 1000 1100
#  shop POST /pay  |------------------------------|
#  cart lock          |--| (150 to 250)
#  ledger charge          |-----------| (300 to 900, failed)
#  ledger SELECT             |---|
#  mailer send                             |--|    its parent is not there
PAY = [
    ("1", None, "shop", "POST /pay", "SERVER", 100, 1100, "UNSET"),
    ("2", "1", "cart", "lock", "INTERNAL", 150, 250, "UNSET"),
    ("3", "1", "ledger", "charge", "CLIENT", 300, 900, "ERROR"),
    ("4", "3", "ledger", "SELECT", "CLIENT", 350, 600, "UNSET"),
    ("5", "99", "mailer", "send", "INTERNAL", 950, 1000, "UNSET"),
]
PAY_ID = "000000000000000000000000000000a1"


def spans(rows, trace_id="a1", dtype=None):
    names = ["span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns", "status_code"]
    frame = pd.DataFrame(rows, columns=names, dtype=dtype).assign(trace_id=trace_id)
    return frame.astype({"start_ns": "Int64", "end_ns": "Int64"})


def pay_traces():
    return TraceSet.from_spans(spans(PAY).assign(**{"attributes.tenant": ["blue", None, "blue", None, "a\u202eb"]}))
