"""Requests of customers of three tiers, some of them slower or failing more often; and who is said to be affected."""

import numpy as np
import pandas as pd

from tracekit import TraceSet
from tracekit.checks.case import Case
from tracekit.checks.registry import run_checks

START, MS = 1_747_231_200_000_000_000, 1_000_000
TIERS = np.array(["enterprise", "pro", "free"])


def side(seed, *, slower=None, failing=None, n=600, tier=None, versions=("1.4.0",), prefix=0, spread=0.3):
    """Requests of two endpoints; ``slower`` and ``failing`` map a tier, version or ``*`` to a factor and a share.

    ``spread`` is the standard deviation of the logarithm of their durations.
    """
    rng = np.random.default_rng(seed)
    tiers = TIERS[rng.choice(3, n, p=[0.25, 0.25, 0.5])] if tier is None else np.full(n, tier)
    version = np.array(versions)[rng.integers(0, len(versions), n)]
    endpoint = np.array(["POST /pay", "GET /items"])[rng.integers(0, 2, n)]
    took, fails = 40 * rng.lognormal(0, spread, n), np.full(n, 0.01)
    for name, factor in (slower or {}).items():
        took *= np.where(((tiers == name) | (version == name) | (name == "*")) & (endpoint == "POST /pay"), factor, 1)
    for name, share in (failing or {}).items():
        fails[(tiers == name) | (name == "*")] = share
    start = START + np.arange(n) * 100 * MS
    frame = pd.DataFrame(
        {
            "trace_id": [f"{prefix + k + 1:032x}" for k in range(n)], "span_id": "1", "service_name": "shop",
            "name": endpoint, "kind": "SERVER", "start_ns": start, "end_ns": start + (took * MS).astype(np.int64),
            "status_code": np.where(rng.random(n) < fails, "ERROR", "UNSET"), "attributes.tenant.tier": tiers,
            "resource.service.version": version, "attributes.user_agent.original": rng.choice(["web", "app"], n),
            "attributes.request.number": [f"r{k}" for k in range(n)],
        }
    )  # fmt: skip
    return TraceSet.from_spans(frame)


def said(before, now):
    return run_checks(Case(now, baseline=Case(before)), ["changes"], ["affected"])


def alone(traces):
    """Who is said to be slow or to fail within one recording."""
    case = Case(traces)
    return [*run_checks(case, ["latency"], ["slow_requests"]), *run_checks(case, ["errors"], ["failed_requests"])]
