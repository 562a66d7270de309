"""Duplicates, cardinality, personal data: planted cases are found, others are left alone, no raw value is shown."""

import json

import numpy as np
import pandas as pd
import pytest
from checks.quality.worlds import MS, SECOND, luhn_number, otlp, said, spans, status, trace_ids
from scipy.stats import binom

import tracekit as tk
from tracekit import TraceSet
from tracekit.checks.quality.pii.traffic import leaks_in_traffic, trace_sums
from tracekit.redaction.patterns import DETECTORS, masked
from tracekit.redaction.scan import blob, digit_runs, hits
from tracekit.stats.thinned import thinned_count


def meshed(n, duplicates, *, start=1, route="/pay", inner=(MS, 99 * MS), services=("orders", "orders"), scope="app"):
    """Requests that a proxy and the application both wrote a span of, and plain ones."""
    rows = []
    for at in range(n):
        trace = start + at
        if at < duplicates:
            rows.append((services[0], "envoy", trace, 1, 0, "ingress", "SERVER", 0, 100 * MS, "/pay"))
            rows.append((services[1], scope, trace, 2, 1, "POST /pay", "SERVER", *inner, route))
        else:
            rows.append((services[1], "app", trace, 1, 0, "POST /pay", "SERVER", 0, 100 * MS, "/pay"))
    return rows


def test_proxy_duplicates_are_counted_with_their_factor():
    found = tk.quality(otlp(meshed(200, 80)), checks=["duplicates"])
    assert status(found, "duplicates.proxy") == "warning"
    row = next(finding for finding in found if finding.check == "duplicates.proxy").evidence.iloc[0]
    assert (row["duplicate_count"], row["span_count"]) == (80, 280)
    assert row["factor"] == pytest.approx(1.4)
    assert row["low"] < 1.4 < row["high"]
    assert "these are not repeated calls" in said(found, "duplicates.proxy")


@pytest.mark.parametrize(
    "near",
    [
        {"inner": (MS, 60 * MS)},
        {"route": "/other"},
        {"services": ("orders", "ledger"), "scope": "envoy"},
        {"scope": "envoy"},
    ],
)
def test_what_only_looks_like_a_twin_is_none(near):
    found = tk.quality(otlp(meshed(100, 50, **near)), checks=["duplicates"])
    assert status(found, "duplicates.proxy") == "ok"


def test_a_direct_call_of_another_service_is_no_twin_unless_a_proxy_wrote_it():
    rows = meshed(100, 50, services=("gateway", "orders"))
    assert status(tk.quality(otlp(rows), checks=["duplicates"]), "duplicates.proxy") == "warning"
    other = [(row[0], "java", *row[2:]) if row[1] == "envoy" else row for row in rows]
    assert status(tk.quality(otlp(other), checks=["duplicates"]), "duplicates.proxy") == "ok"


def test_a_parent_with_two_children_is_no_proxy():
    rows = meshed(100, 50)
    more = [("orders", "app", at, 3, 1, "log", "SERVER", 0, MS) for at in range(1, 51)]
    found = tk.quality(otlp(rows + more), checks=["duplicates"])
    assert status(found, "duplicates.proxy") == "ok"


def test_copies_of_an_export_are_merged_and_counted():
    rows = meshed(200, 0)
    found = tk.quality(otlp(rows + rows[:20]), checks=["duplicates"])
    assert status(found, "duplicates.copies") == "warning"
    estimate = next(finding for finding in found if finding.check == "duplicates.copies").estimate
    assert estimate.value == pytest.approx(20 / 220)
    assert status(tk.quality(otlp(rows), checks=["duplicates"]), "duplicates.copies") == "ok"


def test_client_and_server_that_share_an_id_are_one_call_and_forks_are_not():
    shared = [("cart", "b3", at + 1, 7, 0, "POST", "CLIENT", 0, 90 * MS) for at in range(30)]
    shared += [("pay", "b3", at + 1, 7, 0, "POST /pay", "SERVER", MS, 80 * MS) for at in range(30)]
    found = tk.quality(otlp(shared), checks=["duplicates"])
    assert status(found, "duplicates.ids") == "ok"
    assert "60 spans share IDs as client and server of one call" in said(found, "duplicates.ids")
    forked = [
        ("worker", "a", at + 1, 7, 0, f"job {side}", "INTERNAL", side, 90 * MS) for at in range(5) for side in (0, 1)
    ]
    found = tk.quality(otlp(shared + [(*row[:2], row[2] + 100, *row[3:]) for row in forked]), checks=["duplicates"])
    assert status(found, "duplicates.ids") == "warning"
    evidence = next(finding for finding in found if finding.check == "duplicates.ids").evidence
    assert evidence[["service_name", "span_count"]].to_numpy().tolist() == [["worker", 10]]


@pytest.mark.parametrize(
    ("sides", "said"),
    [
        ([("CLIENT", False), ("SERVER", True)], "60 spans share IDs as client and server of one call (Zipkin B3)"),
        ([("SERVER", True)], "30 spans share IDs as client and server of one call (Zipkin B3)"),
    ],
)
def test_servers_of_zipkin_share_the_id_of_their_client(sides, said):
    rows = [
        {
            "traceId": f"{at:016x}",
            "id": "7",
            "kind": kind,
            "shared": is_shared,
            "timestamp": 1_600_000_000_000_000 + at,
            "duration": 50,
            "localEndpoint": {"serviceName": kind.lower()},
        }
        for at in range(1, 31)
        for kind, is_shared in sides
    ]
    (found,) = (
        finding
        for finding in tk.quality(tk.read(json.dumps(rows).encode()), checks=["duplicates"])
        if finding.check == "duplicates.ids"
    )
    assert found.status == "ok"
    assert said in found.headline


def test_proxy_duplicates_need_spans_and_calls():
    found = tk.quality(TraceSet.from_spans(spans(3, kind="INTERNAL")), checks=["duplicates"])
    assert status(found, "duplicates.proxy") == "not_assessable"
    empty = TraceSet.from_spans(spans(3)).where("duration_ns < 0")
    names = ["duplicates", "cardinality", "pii", "time.order", "partial", "propagation.break", "complete.spans"]
    assert {status(tk.quality(empty, checks=[name]), name) for name in names} == {"not_assessable"}


def test_each_kind_of_duplicate_is_distinguished_from_the_others():
    """Planted among sound traces: precision and recall of all three kinds are one."""
    plain, duplicates = meshed(300, 0), meshed(120, 120, start=1000)
    shared = [("cart", "b3", at, 7, 0, "POST", "CLIENT", 0, 90 * MS) for at in range(2000, 2040)]
    shared += [("pay", "b3", at, 7, 0, "POST /pay", "SERVER", MS, 80 * MS) for at in range(2000, 2040)]
    found = tk.quality(otlp(plain + duplicates + shared + plain[:30]), checks=["duplicates"])
    by = {finding.check: finding for finding in found}
    assert by["duplicates.copies"].evidence["merged_count"].sum() == 30
    assert by["duplicates.proxy"].evidence["duplicate_count"].sum() == 120
    assert status(found, "duplicates.ids") == "ok"


# -------------------------------------------------------------------- cardinality


def wide(rng, n, kind):
    """Values of an attribute: unbounded in several ways, or bounded."""
    made = {
        "uuid path": lambda: [f"/orders/{part.hex()[:8]}-1f2a-4b3c-8d4e-{part.hex()[:12]}" for part in _bytes(rng, n)],
        "number path": lambda: [f"/users/{at}/cart" for at in rng.integers(10**6, 10**9, n)],
        "hex": lambda: [part.hex() for part in _bytes(rng, n)],
        "mail": lambda: [f"user{at}@example.org" for at in rng.integers(0, 10**7, n)],
        "few": lambda: [f"tenant-{chr(97 + at)}" for at in rng.integers(0, 20, n)],
        "hundreds": lambda: [f"host {at}" for at in rng.integers(0, 150, n)],
        "one": lambda: ["GET"] * n,
        "rare beside usual": lambda: [str(at) if at < 20 else "usual" for at in rng.integers(0, 400, n)],
    }
    return made[kind]()


def _bytes(rng, n):
    whole = rng.bytes(8 * n)
    return [whole[at : at + 8] for at in range(0, 8 * n, 8)]


UNBOUNDED, BOUNDED = ("uuid path", "number path", "hex", "mail"), ("few", "hundreds", "one", "rare beside usual")


@pytest.mark.parametrize("seed", range(3))
def test_unbounded_keys_are_named_and_bounded_ones_are_not(seed):
    rng, n = np.random.default_rng(seed), 1300
    frame = spans(n)
    for kind in (*UNBOUNDED, *BOUNDED):
        frame[f"attributes.app.{kind.replace(' ', '_')}"] = wide(rng, n, kind)
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    flagged = set(finding.evidence.loc[finding.evidence["status"] == "warning", "key"])
    assert flagged == {f"app.{kind.replace(' ', '_')}" for kind in UNBOUNDED}
    shown = finding.evidence.to_string() + str(finding)
    assert not any(value in shown for kind in UNBOUNDED for value in wide(np.random.default_rng(seed), n, kind))
    templates = finding.evidence.set_index("key")["template"]
    assert templates["app.number_path"] == "/users/{id}/cart"
    assert templates["app.uuid_path"] == "/orders/{uuid}"


def test_span_names_with_ids_are_an_index_that_grows():
    rng = np.random.default_rng(4)
    names = [f"GET /orders/{at}" if at % 10 == 0 else "GET /cart" for at in rng.integers(10**6, 10**7, 1500)]
    found = tk.quality(TraceSet.from_spans(spans(1500, name=names)), checks=["cardinality"])
    assert status(found, "cardinality") == "warning"
    assert "`span name` of `web` has" in said(found, "cardinality")
    assert found[0].estimate.low < 0.1 < found[0].estimate.high


def test_growing_names_of_one_service_or_operation_are_not_hidden_by_others():
    usual = spans(60_000)
    names = [f"GET /orders/{at}" for at in range(1439)]
    shop = spans(1439, service_name="shop", name=names, trace_id=[f"{at + 1:032x}" for at in range(1439)])
    (finding,) = tk.quality(TraceSet.from_spans(pd.concat([usual, shop])), checks=["cardinality"])
    assert finding.severity == "warning"
    assert "`span name` of `shop` has 1,439 values in 1,439 spans" in finding.headline
    rows = finding.evidence.set_index(["key", "service_name"])["status"].to_dict()
    assert rows == {("span name", "web"): "ok", ("span name", "shop"): "warning"}
    few = np.arange(60_000) < 1200
    usual["attributes.app.cart"] = np.where(few, [f"c{at}" for at in range(60_000)], "none")
    usual["attributes.http.request.method"] = "GET"
    usual["attributes.http.route"] = np.where(few, "/cart", "/")
    (finding,) = tk.quality(TraceSet.from_spans(usual), checks=["cardinality"])
    assert "`app.cart` of `web` in `GET /cart` has 1,200 values in 1,200 spans" in finding.headline


def test_a_few_hundred_names_are_not_taken_for_growing_ones():
    rng = np.random.default_rng(5)
    names = [f"query {at}" for at in rng.integers(0, 150, 200)]
    assert (
        status(tk.quality(TraceSet.from_spans(spans(200, name=names)), checks=["cardinality"]), "cardinality") == "ok"
    )


def test_measurements_are_no_labels_but_identifying_numbers_are():
    frame = spans(1200)
    frame["attributes.http.request.body.size"] = np.arange(1200)
    frame["attributes.app.score"] = np.random.default_rng(1).random(1200)
    assert status(tk.quality(TraceSet.from_spans(frame), checks=["cardinality"]), "cardinality") == "ok"
    frame["attributes.user.id"] = np.arange(1200)
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    assert finding.evidence.loc[finding.evidence["status"] == "warning", "key"].tolist() == ["user.id"]


# -------------------------------------------------------------------- personal data

PRIVATE = {
    "email": [
        "jo.public@example.org",
        "write to a.b+c@mail.example.co.uk now",
        "jörg@müller-bau.de",
        "иван@пример.рф",
        '"jo public"@example.org',
        "o'brien@example.ie",
        "mailto:jo@example.org",
        "/users/jo@example.org/cart",
        "/search?q=jo%40example.org",
        "jo@example.org: mailbox full",
        "jo@xn--mller-kva.de",
    ],
    "phone number": ["+49 30 901820 12", "call +14155550132"],
    "payment card": ["4111 1111 1111 1111", "5500-0055-5555-5559", "4111\xa01111\xa01111\xa01111", "3782 822463 10005"],
    "IBAN": [
        "DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819",
        "de89370400440532013000",
        "NO93-8601-1117-947 please",
    ],
    "social security number": ["078-05-1120"],
    "JSON web token": ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.c2lnbmF0dXJl"],
    "AWS access key": ["AKIAIOSFODNN7EXAMPLE", "key_ASIAIOSFODNN7EXAMPLE_1"],
    "credentials": ["Bearer a1B2c3D4e5F6g7H8", "Authorization: Basic dXNlcjpwYXNzd29yZA==", "BEARER a1b2c3d4e5f6g7h8"],
    "password in an address": ["postgres://app:hunter22@db.example/orders", "Redis://:s3cr3tpass@cache:6379"],
    "API token": ["ghp_16C7e42F292c6912E7710c838347Ae178B4a", "xoxb-123456789012-abcdefABCDEF"],
    "private key": ["-----BEGIN RSA PRIVATE KEY-----"],
    "secret in a parameter": [
        "https://shop.example/cb?access_token=9f8e7d6c5b4a39281706",
        "/reset?token=3f2504e04f8911d39a0c0305e82c3301",
        "https://s3.example/x?X-Amz-Signature=fe5f80f77d5fa3beca038a248ff027d0",
        "UPDATE users SET password = 'Sommer2024'",
        '{"api_key": "k1234567890"}',
    ],
    "private address": ["10.1.2.3", "fd12:3456:789a::1", "fe80::1ff:fe23:4567:890a", "::ffff:10.1.2.3"],
}
HARMLESS = [
    "4111 1111 1111 1112",
    "DE89 3704 0044 0532 0130 01",
    "000-12-3456",
    "666-12-3456",
    "987-65-4321",
    "eyJxxxxxxxx.abcdefgh.x",
    "AKIA",
    "orders@ledger-db.internal",
    "cart@db.eu-west-1.rds.amazonaws.com",
    "Bearer ****************",
    "Basic {token}",
    "postgres://db.example/orders",
    "postgres://user:****@db.example/x",
    "8.8.8.8",
    "1.2.3",
    "999.1.1.1",
    "2026-11-21T14:00:03+01:00",
    "pkg@1.2.3",
    "image@sha256:abcdef",
    "user at example dot org",
    "550e8400-e29b-41d4-a716-446655440000",
    "1795000000000000000",
    "a+1234567890",
    "+12",
    "SELECT * FROM orders WHERE id = ?",
    "GET /orders/{id}",
    "10.1.2.3.4",
    "v1.2.3.4.5",
    "123-45-678",
    "https://shop.example/a?b=c",
    "basic authentication",
    "basic subscription2024",
    "git@github.com:org/repo.git",
    "https://jo@shop.example/x",
    "@angular/core@17.0.1",
    "4bf92f3577b34da6a3ce929d0e0e4736",
    "de89370400440532013000ff",
    "be12cd34ef56ab78",
    "15551234567",
    "+48.8577+002.295/",
    "555-0199-8",
    "978-3-16-148410-0",
    "00:1b:44:11:3a:b7",
    "10:00:00",
    "std::vector",
    "2001:4860:4860::8888",
    "max_tokens=4096",
    "next_token=1234567890abcdef",
    "token_type=bearer",
    "password=[REDACTED]",
    "UPDATE users SET password = ? WHERE id = ?",
    "password=$1, name=$2",
    "/api/keys/AKIAEXAMPLE",
]


@pytest.mark.parametrize("kind", PRIVATE)
def test_each_kind_is_recognised_and_masked(kind):
    for value in PRIVATE[kind]:
        frame = spans(3)
        frame["attributes.note"] = value
        (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["pii"])
        row = finding.evidence.iloc[0]
        assert (row["key"], row["kind"], row["span_count"]) == ("note", kind, 3)
        wanted = {"email": "warning", "phone number": "warning", "private address": "ok"}.get(kind, "failed")
        assert row["status"] == wanted
        match = DETECTORS[kind].found_in(value)
        assert match not in finding.evidence.to_string() + str(finding) + repr(finding)


@pytest.mark.parametrize("value", HARMLESS)
def test_harmless_values_are_left_alone(value):
    frame = spans(3)
    frame["attributes.note"] = value
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["pii"])
    assert status([finding], "pii") == "ok", finding.evidence
    assert "upper bound: " in finding.headline or len(finding.evidence)


def cards(rng, n, genuine):
    right = [luhn_number(rng) for _ in range(int(n * genuine))]
    return right + [f"4{at:015d}" for at in rng.integers(0, 10**15, n - len(right))]


@pytest.mark.parametrize(("genuine", "wanted"), [(1.0, "failed"), (0.3, "failed")])
def test_card_numbers_are_known_by_their_check_digits(genuine, wanted):
    rng = np.random.default_rng(5)
    values = cards(rng, 400, genuine)
    frame = spans(400)
    frame["attributes.payment.note"] = values
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["pii"])
    assert status([finding], "pii") == wanted
    assert finding.evidence["kind"].tolist() == ["payment card"]
    assert not any(value in finding.evidence.to_string() + str(finding) for value in values)


def test_the_genuine_share_of_digits_is_reported():
    values = cards(np.random.default_rng(8), 600, 0.4)
    (finding,) = tk.quality(TraceSet.from_spans(spans(600, **{"attributes.note": values})), checks=["pii"])
    row = finding.evidence.iloc[0]
    assert row["genuine_low"] < 0.4 < row["genuine_high"]
    assert row["genuine_ratio"] == pytest.approx(0.4, abs=0.05)
    assert "of its card-like digit runs are genuine" in finding.headline


def test_ids_are_no_accounts():
    """Hex ids that all begin like an account in some country: of 60,000 hardly one is all digits and passes by 97."""
    rng = np.random.default_rng(9)
    lead = np.array(["de12", "be34", "ad56", "ae78"])[rng.integers(0, 4, 20_000)]
    ids = [f"{first}{rest[:28]}" for first, rest in zip(lead, trace_ids(20_000), strict=True)]
    assert len(hits(blob([*ids, *(one[:16] for one in ids), *(one[:22] for one in ids)]))) <= 3


def test_random_digits_pass_one_time_in_ten_and_are_no_cards():
    """False alarms of random digits: at most 1%, by the level of the test."""
    rng, alarms = np.random.default_rng(6), 0
    for _ in range(10):
        frame = spans(100)
        for at in range(20):
            frame[f"attributes.k{at}"] = [f"4{value:015d}" for value in rng.integers(0, 10**15, 100)]
        (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["pii"])
        alarms += int((finding.evidence["status"] != "ok").sum())
    assert alarms <= 8  # of 200: more would have a chance below 1 in 1,000


def test_numbers_names_messages_and_resources_are_looked_at_too():
    frame = spans(40, name="mail jo@example.org", status_message="token AKIAIOSFODNN7EXAMPLE")
    frame["attributes.card"] = [int(luhn_number(np.random.default_rng(at))) for at in range(40)]
    frame["resource.owner"] = "ann@example.org"
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["pii"])
    seen = set(zip(finding.evidence["key"], finding.evidence["kind"], strict=True))
    assert seen == {
        ("span name", "email"),
        ("status message", "AWS access key"),
        ("card", "payment card"),
        ("owner", "email"),
    }
    assert finding.evidence["status"].iloc[0] == "failed"
    assert "Also affected: " in finding.headline


def test_keys_that_are_personal_themselves_are_masked():
    frame = spans(2)
    frame["attributes.bob@example.org"] = "carol@example.org"
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["pii"])
    assert "bob@example.org" not in str(finding) + finding.evidence.to_string()


def test_what_is_shown_of_a_value():
    assert masked("short") == "... (5 characters)"
    assert "11111" not in masked("4111111111111111")


def test_runs_of_digits_end_with_their_text():
    found = digit_runs(blob(["41111111", "11111111", "x4111111111111111", "4111111111111111-1", "4111111111111111"]))
    assert found.row.tolist() == [4]
    assert found.is_valid.tolist() == [True]
    assert len(digit_runs(blob([])).row) == 0


# -------------------------------------------------------------------- cost and cold starts


def test_a_month_is_priced_by_the_period():
    traces = TraceSet.from_spans(spans(3601))
    (finding,) = tk.quality(traces, prices={"recorded": 5.0, "scanned": 0.5}, checks=["cost"])
    assert finding.estimate.value == pytest.approx(3601 * 720 * 5.5e-6)
    assert finding.estimate.low < finding.estimate.value < finding.estimate.high
    assert finding.evidence["month_usd"].sum() == pytest.approx(finding.estimate.value)


@pytest.mark.parametrize(("budget", "wanted"), [(1.0, "warning"), (100.0, "ok"), (13.0, "inconclusive")])
def test_a_budget_is_kept_or_not(budget, wanted):
    found = tk.quality(TraceSet.from_spans(spans(3601)), prices={"recorded": 5.0, "budget": budget}, checks=["cost"])
    assert status(found, "cost") == wanted


def test_the_rate_that_an_incident_needs_has_a_price():
    traces, prices = TraceSet.from_spans(spans(1000)), {"recorded": 5.0, "incident": 20}
    counts = pd.DataFrame({"count": [20_000]})
    asked = said(tk.quality(traces, prices=prices, checks=["cost"]), "cost")
    assert "its cost cannot be estimated without request counts" in asked
    added = (20_000 * 0.1391 - 1000) * 720 * 3600 / 999 * 5e-6
    assert f"costs ${added:.1f}" in said(tk.quality(traces, requests=counts, prices=prices, checks=["cost"]), "cost")
    assert "less" in said(tk.quality(traces.with_weights(2), prices=prices, checks=["cost"]), "cost")
    assert status(tk.quality(traces, checks=["cost"]), "cost") == "not_assessable"
    one = TraceSet.from_spans(spans(1))
    assert status(tk.quality(one, prices={"recorded": 5.0}, checks=["cost"]), "cost") == "not_assessable"


def functions(n, cold):
    frame = spans(n)
    frame["attributes.faas.coldstart"] = np.arange(n) < cold
    return TraceSet.from_spans(frame)


def invocations(n, cold):
    return pd.DataFrame({"trace_id": None, "is_cold_start": np.arange(n) < cold})


@pytest.mark.parametrize(
    ("traces", "log", "wanted"),
    [
        ((1000, 110), (10_000, 190), "warning"),
        ((20_000, 2_000), (100_000, 10_000), "ok"),
        ((100, 3), (1000, 20), "inconclusive"),
    ],
)
def test_cold_starts_are_compared_with_the_log(traces, log, wanted):
    found = tk.quality(functions(*traces), log=invocations(*log), checks=["coldstart.bias"])
    assert status(found, "coldstart.bias") == wanted
    factor = traces[1] / traces[0] / (log[1] / log[0])
    assert found[0].estimate.value == pytest.approx(factor)
    assert found[0].estimate.low < factor < found[0].estimate.high


def test_cold_starts_corrected_by_weights_and_found_by_initialization():
    ids = trace_ids(1000)
    weights = pd.Series(np.where(np.arange(1000) < 110, 1.0, 6.0), ids)
    found = tk.quality(
        functions(1000, 110).with_weights(weights), log=invocations(10_000, 190), checks=["coldstart.bias"]
    )
    assert "2.0% with weights" in said(found, "coldstart.bias")
    frame = pd.concat([spans(10), spans(4, span_id="2", parent_span_id="1", name="Initialization")])
    frame["attributes.faas.name"] = "pay"
    found = tk.quality(TraceSet.from_spans(frame), log=invocations(100, 5), checks=["coldstart.bias"])
    assert found[0].evidence["cold_count"].tolist() == [4, 5]


@pytest.mark.parametrize(
    ("traces", "log", "needs"),
    [
        (spans(3), None, "needs traces of functions"),
        (functions(9, 3), None, "needs REPORT lines"),
        (functions(9, 0), invocations(9, 1), "needs cold starts on both sides"),
    ],
)
def test_cold_starts_need_functions_and_their_log(traces, log, needs):
    traces = TraceSet.from_spans(traces) if isinstance(traces, pd.DataFrame) else traces
    found = tk.quality(traces, log=log, checks=["coldstart.bias"])
    assert needs in said(found, "coldstart.bias")


def test_few_rows_of_a_key_are_not_assessed():
    frame = spans(60, name=[f"GET /{at}" for at in range(60)])
    found = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    assert status(found, "cardinality") == "not_assessable"
    assert "needs 100 spans of a service (found 60)" in said(found, "cardinality")
    frame = spans(400, name=[f"GET /{at}" for at in range(400)])
    frame["attributes.user.id"] = [f"u{at}" for at in range(400)]
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    rows = finding.evidence.set_index("key")
    assert rows["status"].to_dict() == {"span name": "warning", "user.id": "warning"}
    assert rows.loc["span name", "entropy_bits"] == pytest.approx(np.log2(400))
    few = spans(400)
    few["attributes.user.id"] = [f"u{at % 300}" for at in range(400)]
    (finding,) = tk.quality(TraceSet.from_spans(few), checks=["cardinality"])
    assert "all can be used for grouping. 1 more have too few rows to assess" in finding.headline


def test_a_rare_key_with_a_new_value_in_every_span_is_found():
    frame = spans(2000)
    frame["attributes.crane.lease"] = [f"lease {at}" if at < 640 else None for at in range(2000)]
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    assert "`crane.lease` of `web` has 640 values in 640 spans" in finding.headline


def test_paths_of_urls_that_no_template_bounds_are_found_as_operations():
    frame = spans(1500, name="web", kind="SERVER", http_request_method="GET")
    letters = np.random.default_rng(3).integers(97, 123, (1500, 8)).astype(np.uint8)
    frame["url_full"] = [f"http://shop/users/{bytes(row).decode()}" for row in letters]
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    rows = finding.evidence.set_index("key")["status"]
    assert rows["operation from url.full"] == "warning"
    assert rows["span name"] == "ok"
    frame["url_full"] = [f"http://shop/users/{at}" for at in range(1500)]
    (finding,) = tk.quality(TraceSet.from_spans(frame), checks=["cardinality"])
    assert finding.evidence.set_index("key")["status"]["operation from url.full"] == "ok"


def test_few_proxy_duplicates_are_inconclusive():
    rows = []
    for at in range(30):
        begin = at * SECOND
        rows.append(("shop", "app", at + 1, 1, 0, "GET /", "SERVER", begin, begin + 100 * MS))
        if at < 2:
            rows.append(("shop", "mesh", at + 1, 2, 1, "GET /", "SERVER", begin + MS, begin + 100 * MS))
    found = tk.quality(otlp(rows), checks=["duplicates"])
    assert status(found, "duplicates.proxy") == "inconclusive"
    assert "Too few spans to decide" in said(found, "duplicates.proxy")


# -------------------------------------------------------------------- leaks in all traffic


def leaking(n=400, leaks=20):
    frame = spans(n)
    frame["attributes.contact"] = [f"jo{at}@example.org" if at < leaks else "none" for at in range(n)]
    return frame


def test_leaks_of_all_traffic_have_exact_limits():
    (finding,) = tk.quality(TraceSet.from_spans(leaking()).with_weights(20), checks=["pii"])
    row = finding.evidence.set_index("key").loc["contact"]
    assert (row["trace_count"], row["traffic_count"]) == (20, 400)
    assert (row["traffic_low"], row["traffic_high"]) == thinned_count(20, 0.05)
    assert "about 400 (" in finding.headline
    assert "requests of all traffic" in finding.headline


def test_leaks_are_counted_once_a_trace_and_by_weight():
    frame = pd.concat([leaking(), leaking().assign(span_id="2", parent_span_id="1")])
    heavy = pd.Series(np.where(np.arange(400) < 10, 2.0, 50.0), trace_ids(400))
    (finding,) = tk.quality(TraceSet.from_spans(frame).with_weights(heavy), checks=["pii"])
    row = finding.evidence.set_index("key").loc["contact"]
    assert (row["trace_count"], row["traffic_count"]) == (20, 10 * 2 + 10 * 50)
    assert 20 < row["traffic_low"] < 520 < row["traffic_high"]


def test_without_weights_nothing_is_estimated_about_all_traffic():
    (finding,) = tk.quality(TraceSet.from_spans(leaking()), checks=["pii"])
    assert finding.evidence["traffic_count"].isna().all()
    assert "all traffic" not in finding.headline


def test_no_leak_in_a_sample_limits_those_of_all_traffic():
    (kept,) = tk.quality(TraceSet.from_spans(spans(400)).with_weights(20), checks=["pii"])
    assert "71 requests of all traffic)." in kept.headline
    (whole,) = tk.quality(TraceSet.from_spans(spans(400)).with_weights(1), checks=["pii"])
    assert "0 requests of all traffic)." in whole.headline


def test_every_place_of_a_leak_leads_to_its_trace():
    frame = spans(40, service_name=["cart"] * 10 + ["shop"] * 30)
    frame["resource.owner"] = ["jo@example.org"] * 10 + ["team"] * 30
    frame["name"] = ["GET /"] * 36 + ["GET /users/mo@example.org"] * 4
    (finding,) = tk.quality(TraceSet.from_spans(frame).with_weights(2), checks=["pii"])
    told = finding.evidence.set_index("key")["trace_count"]
    assert (told["owner"], told["span name"]) == (10, 4)


def test_limits_of_leaks_hold_in_samples_of_two_rates():
    rng, covered = np.random.default_rng(8), 0
    for _ in range(300):
        pi = np.repeat([0.05, 0.5], [600, 100])
        leak = np.repeat([True, False, True, False], [60, 540, 30, 70])
        kept = rng.random(700) < pi
        frame = spans(int(kept.sum()))
        traces = TraceSet.from_spans(frame[["trace_id", "span_id", "name", "start_ns", "end_ns"]])
        by_id = pd.Series(1 / pi[kept], frame["trace_id"])
        order = pd.Series(leak[kept], frame["trace_id"]).reindex(traces.trace_ids).to_numpy()
        weighted = traces.with_weights(by_id)
        sums = (trace_sums(weighted, chosen) for chosen in (np.arange(len(weighted)), np.flatnonzero(order)))
        found = leaks_in_traffic(*sums, weighted.weights.totals)
        covered += found.low <= 90 <= found.high
    assert covered >= binom.ppf(0.001, 300, 0.95)
