"""From how many customers requests came, where the data say so."""

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit.analysis.what_differs.selection import sides_of
from tracekit.checks.changes.customers import customers_of

MS = 1_000_000


def requests(values, key="app.customer.id"):
    """One request per value, of one span."""
    rng = np.random.default_rng(1)
    rows = [
        {"trace_id": rng.bytes(16).hex(), "span_id": rng.bytes(8).hex(), "parent_span_id": None, "name": "GET /",
         "kind": "SERVER", "service_name": "shop", "start_ns": at * MS, "end_ns": (at + 1) * MS,
         f"attributes.{key}": value}
        for at, value in enumerate(values)
    ]  # fmt: skip
    return tk.TraceSet.from_spans(pd.DataFrame(rows))


def said(traces, chosen=None):
    side = sides_of(traces, np.ones(len(traces.spans), bool))[0]
    found = customers_of(side, np.ones(len(traces), bool) if chosen is None else chosen)
    return None if found is None else found.words


def test_distinct_customers_of_the_chosen_requests():
    traces = requests([f"ent-{n % 7:03}" for n in range(60)])
    assert said(traces) == "at least 7 customers"  # whether every request was recorded is not known
    assert said(traces.with_weights(1)) == "7 customers"
    assert said(traces.with_weights(10)) == "at least 7 customers"
    chosen = traces.summary["start_ns"].to_numpy(np.int64) < 5 * MS
    assert said(traces.with_weights(1), chosen) == "5 customers"


@pytest.mark.parametrize(
    ("key", "noun"),
    [("tenant.id", "tenants"), ("tenantId", "tenants"), ("enduser.id", "users"), ("user.id", "users"),
     ("app.account_id", "accounts"), ("organization", "organizations"), ("shop.customer", "customers")],
)  # fmt: skip
def test_the_keys_that_name_them(key, noun):
    assert said(requests([f"a{n % 3}" for n in range(20)], key).with_weights(1)) == f"3 {noun}"


@pytest.mark.parametrize("key", ["app.customer.tier", "user_agent", "cloud.account.id", "db.user", "user.count", "x"])
def test_other_keys_name_nobody(key):
    assert said(requests([f"a{n % 3}" for n in range(20)], key)) is None


def test_where_many_requests_do_not_say_so_nothing_is_said():
    assert said(requests([None, "a", "b", "c"] * 10)) is None
    assert said(requests(["anonymous", "a", "b", "c"] * 10)) is None
    assert said(requests([None] + ["a", "b", "c"] * 10).with_weights(1)) == "at least 3 customers"
    assert said(requests(["a", "b"])) is None  # too few requests
    assert said(requests(["a"]).head(0)) is None


def test_a_request_of_two_customers_says_nothing():
    traces = requests([f"a{n}" for n in range(10)])
    spans = traces.spans.reset_index()[["trace_id", "span_id", "name", "kind", "service_name", "start_ns", "end_ns"]]
    child = spans.assign(parent_span_id=spans["span_id"], span_id=[f"{n:016x}" for n in range(1, 11)])
    child["attributes.app.customer.id"] = "batch"
    both = pd.concat([spans.assign(**{"parent_span_id": None, "attributes.app.customer.id": "a"}), child])
    assert said(tk.TraceSet.from_spans(both)) is None


def test_what_redaction_merges_is_not_counted():
    traces = requests([f"jo{n % 7}@shop.example" for n in range(30)]).with_weights(1)
    assert said(traces) == "7 customers"
    assert said(traces.redact()) == "an unknown number of customers: redaction masked app.customer.id"
    kept = traces.redact({"kinds": {"email": "pseudonym"}, "pseudonym_key": "k" * 16})
    assert said(kept) == "7 customers"


MAIL_KEY = {"pseudonym_key": "k" * 16}
HIDDEN = "an unknown number of customers: redaction {} app.customer.id"


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("default", HIDDEN.format("masked")),
        ({"kinds": {"email": "drop"}}, HIDDEN.format("dropped")),
        ({"kinds": {"email": "generalise"}}, HIDDEN.format("generalised")),
        ({"keys": {"app.customer.id": "drop"}}, HIDDEN.format("dropped")),
        ({"keys": {"app.customer.id": "mask"}}, HIDDEN.format("masked")),
        ({"kinds": {"email": "pseudonym"}, **MAIL_KEY}, "7 customers"),
        ({"keys": {"app.customer.id": "pseudonym"}, **MAIL_KEY}, "7 customers"),
        ({"kinds": {"email": "keep"}}, "7 customers"),
    ],
)
def test_what_each_action_does_to_the_number(policy, words):
    traces = requests([f"jo{n % 7}@shop{n % 7}.example" for n in range(30)]).with_weights(1)
    assert said(traces) == "7 customers"
    assert said(traces.redact(policy)) == words


def test_ids_that_redaction_leaves_are_counted_as_before():
    traces = requests([f"ent-{n % 7:03}" for n in range(60)]).with_weights(1)
    assert said(traces.redact()) == said(traces) == "7 customers"


def test_a_key_that_was_rare_does_not_hide_the_number():
    """A masked value on one request of many says nothing about who the others came from."""
    assert said(requests(["jo@shop.example"] + [None] * 29).redact()) is None
