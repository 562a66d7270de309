"""Private values in every place that takes a text: none is in a sentence, its evidence, its table, or an error."""

import json

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import EPOCH_NS, MS, trace_ids

import tracekit as tk

SECRETS = {
    "span name": "jo1@example.org",
    "status message": "Bearer a1B2c3D4e5F6g7H8",
    "attribute": "4111 1111 1111 1111",
    "key": "jo2@example.org",
    "resource": "AKIAIOSFODNN7EXAMPLE",
    "event name": "jo3@example.org",
    "event attribute": "DE89370400440532013000",
    "link attribute": "078-05-1120",
    "array": "jo4@example.org",
    "route": "/reset?token=3f2504e04f8911d39a0c0305e82c3301",
    "url": "postgres://app:hunter22@db.example/orders",
}


def text(key, value):
    return {"key": key, "value": {"stringValue": value}}


def leaky(n=1200):
    """Traces of a server that calls itself, with a private value in every place."""
    made = []
    for at, trace_id in enumerate(trace_ids(n)):
        begin = EPOCH_NS + at * 1000 * MS
        told = [
            text("note", SECRETS["attribute"]),
            text(SECRETS["key"], "x"),
            text("http.route", SECRETS["route"]),
            text("db.url", f"{SECRETS['url']}/{at}"),
            {"key": "to", "value": {"arrayValue": {"values": [{"stringValue": SECRETS["array"]}]}}},
        ]
        span = {
            "traceId": trace_id,
            "spanId": f"{at + 1:016x}",
            "parentSpanId": "00000000000000ff" if at % 3 == 0 else "",
            "name": f"GET /users/{SECRETS['span name']}/{at}",
            "kind": 2,
            "startTimeUnixNano": str(begin),
            "endTimeUnixNano": str(begin + 5 * MS),
            "status": {"code": 2, "message": SECRETS["status message"]},
            "attributes": told,
            "events": [
                {
                    "timeUnixNano": str(begin),
                    "name": f"mail {SECRETS['event name']}",
                    "attributes": [text("account", SECRETS["event attribute"])],
                }
            ],
            "links": [{"traceId": trace_id, "spanId": "01", "attributes": [text("ssn", SECRETS["link attribute"])]}],
        }
        resource = {"attributes": [text("service.name", "shop"), text("aws.key", SECRETS["resource"])]}
        made.append(json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]}))
    return tk.read("\n".join(made).encode())


@pytest.fixture(scope="module")
def traces():
    return leaky()


def leaks(told):
    return {where for where, value in SECRETS.items() if value in told}


def test_every_place_is_looked_at(traces):
    (finding,) = tk.quality(traces, checks=["pii"])
    assert set(finding.evidence["kind"]) == {
        "email",
        "credentials",
        "payment card",
        "AWS access key",
        "IBAN",
        "social security number",
        "secret in a parameter",
        "password in an address",
    }
    assert set(finding.evidence["key"]) >= {"span name", "status message", "event name", "note", "to", "account"}


def test_no_finding_shows_a_value(traces):
    counts = pd.DataFrame({"time": pd.date_range("2026-11-18 11:00", periods=60, freq="1min"), "count": 60})
    received = pd.Series(EPOCH_NS + np.arange(1200) * 1000 * MS + 10**9, index=trace_ids(1200))
    found = tk.quality(traces, requests=counts, received=received, prices={"recorded": 5.0, "incident": 20})
    assert not leaks(str(found) + repr(found) + found._repr_html_())
    for finding in found:
        told = [repr(finding), finding.headline, finding.remedy, finding.code, str(finding.exemplars)]
        told += [finding.evidence.to_csv(), finding.evidence.to_html()]
        assert not leaks("\n".join(told)), finding.check


def test_templates_hold_no_value_that_many_share(traces):
    (finding,) = tk.quality(traces, checks=["cardinality"])
    wide = finding.evidence[finding.evidence["status"] == "warning"].set_index("key")
    assert set(wide.index) == {"span name", "db.url"}
    assert not leaks(finding.evidence.to_csv())


def test_errors_show_no_value(traces):
    with pytest.raises(ValueError, match="expected arrival times in 'note'") as error:
        tk.quality(traces, received="note", checks=["ingest.lag"])
    assert not leaks(str(error.value))
