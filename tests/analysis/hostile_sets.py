"""Sets of traces that are damaged, empty or hostile, made of the requests of a shop."""

import numpy as np
import pandas as pd
from analysis.compare.worlds import shop

from tracekit import TraceSet

_COLUMNS = [
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
_TEXTS = ["<b>x</b>", "nul\x00", "A" * 20_000, "a|b`c`", "\u202ex", "%{x}"]
_VALUES = [True, 5, float("nan"), float("inf"), "x", b"\x00\xff", None]


def hostile_sets():
    """The sets by what is wrong with them."""
    healthy = shop(np.random.default_rng(1), 60)
    spans = shop(np.random.default_rng(2), 60, prefix=2).spans[_COLUMNS]
    texts = ("parent_span_id", "service_name", "name", "kind", "status_code")
    spans = spans.astype(dict.fromkeys(texts, object))
    late = np.where(spans["service_name"] == "ledger", 10**9, 0)
    missing = pd.array([pd.NA] * len(spans), dtype="Int64")
    changed = {
        "other services": {"service_name": spans["service_name"] + "2"},
        "no service": {"service_name": None},
        "no name": {"name": ""},
        "unfinished": {"end_ns": spans["end_ns"].astype("Int64").where(np.arange(len(spans)) % 3 > 0)},
        "no duration": {"end_ns": spans["start_ns"]},
        "negative durations": {"end_ns": spans["start_ns"] - 5},
        "no end": {"end_ns": missing},
        "all failed": {"status_code": "ERROR"},
        "years": {"end_ns": spans["start_ns"] + 9 * 10**17},
        "hostile names": {"name": np.resize(np.array(_TEXTS, object), len(spans))},
        "clocks apart": {"start_ns": spans["start_ns"] + late, "end_ns": spans["end_ns"] + late},
        "values of all types": {"attributes.mixed": [_VALUES[k % len(_VALUES)] for k in range(len(spans))]},
        "many operations": {"name": [f"op{k}x" for k in range(len(spans))]},
    }
    uneven = np.where(np.arange(60) < 20, 50.0, 1.0)
    return {
        "empty": healthy.where("service_name == 'nobody'"),
        "one trace": healthy.trace(healthy.trace_ids[0]),
        "orphans": TraceSet.from_spans(spans[spans["parent_span_id"].notna()]),
        "uneven weights": TraceSet.from_spans(spans).with_weights(uneven),
        **{name: TraceSet.from_spans(spans.assign(**columns)) for name, columns in changed.items()},
    }
