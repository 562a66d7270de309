"""The first screen: what it says of the bundled incidents, of planted faults and of nothing."""

import re

import numpy as np
import pytest
from analysis.suspects.planted import EPOCH, MS, Shop, sides
from checks.healthy_worlds import healthy

import tracekit as tk
from tracekit.checks.case import Case
from tracekit.checks.registry import findings_of
from tracekit.checks.screen.lines import LINES, TITLES, FirstScreen, screen_of
from tracekit.findings import Finding


def screen(now, before=None, **given):
    case = Case(now, baseline=None if before is None else Case(before), **given)
    return screen_of(case, findings_of(case, ["data", "changes", "patterns", "latency", "errors"]))


@pytest.fixture(scope="module")
def checkout():
    before, during = tk.load_sample("checkout-regression")
    return screen(during, before)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("headline", r"storefront POST /checkout p95 regressed 2\.55×: 100 → 256 ms\."),
        (
            "period",
            r"Incident .* vs baseline 04:57:06 to .* 1,000 traces each · sampling unknown: .* recorded traces\.",
        ),
        ("started", r"After 2026-11-21 04:58:44 UTC \(the baseline ends\), by 04:59:08\. Still slow .* 05:00:41\."),
        (
            "affected",
            r".*app\.customer\.tier enterprise: p95 107 → 281 ms; .*119 of 119.* at least 14 customers\. Others: ",
        ),
        ("changed", r"ledger 1\.4\.0 → 1\.5\.0, first seen 04:59:03\. No other service .*not proof\.\)"),
        (
            "cause",
            r"N\+1 calls: ledger SELECT entries .*calls per request 1\.0 → 8\.2.*Explains 98\.8%.*46 other operations",
        ),
        (
            "actions",
            r"1\. Roll back ledger to 1\.4\.0\..* batch `SELECT .* WHERE cost_centre = \?` \(new; 29 .* Verify: .*83",
        ),
        ("exemplar", r"Exemplar 723f17e9 \(294 ms, 37 calls of SELECT entries, usually 1 in the baseline\)\."),
    ],
)
def test_the_bundled_incident(checkout, line, words):
    assert re.match(words, checkout[line].headline), checkout[line].headline


def test_the_bundled_incident_hurts_users(checkout):
    assert checkout.severity == "critical"
    assert [line.severity for line in checkout[1:]].count("critical") == 0  # said once


def test_the_numbers_of_the_bundled_incident_are_those_of_public_calls(checkout):
    before, during = tk.load_sample("checkout-regression")
    p95 = [tk.latency(side, roots=True).table.set_index("operation")["p95_ns"] for side in (before, during)]
    said = checkout["headline"].values
    assert (said["baseline"], said["current"]) == tuple(one["POST /checkout"] for one in p95)
    without = tk.suspects(before, during, recovery=True).without
    done = checkout["actions"].values
    assert done["p95_new_latency_ns"] == without.table.loc["p95", "new_latency_ns"]
    mine = during.where("depth == 0 and operation == 'POST /checkout'").trace_ids
    replayed = without.traces.set_index("trace_id").loc[mine, "new_latency_ns"]
    assert done["endpoint_p95_new_latency_ns"] == pytest.approx(np.quantile(replayed, 0.95), rel=0.05)
    assert (done["roll_back"], done["previous_version"]) == ("ledger", "1.4.0")
    text = during.attribute("db.query.text")[during.spans["service_name"] == "ledger"].dropna()
    times = text.eq(done["statement"])
    assert done["calls_per_request"] == times.sum() / 119
    assert not before.attribute("db.query.text").eq(done["statement"]).any()
    root = during.where("depth == 0 and operation == 'POST /checkout' and app.customer.tier == 'enterprise'").spans
    customers = during.attribute("app.customer.id")[during.spans["trace_id"].isin(root["trace_id"])].nunique()
    assert (checkout["affected"].values["customer_count"], customers) == (14, 14)


@pytest.mark.parametrize(
    ("name", "service", "version", "since", "mechanism"),
    [
        ("cascading-failure", "inventory", "4.2.0", None, None),
        ("retry-storm", "payments", "3.2.0", "2026-11-23T01:10:27", "Retries"),
        ("cold-start", "ledger", "1.6.0", "2026-11-23T01:09:08", None),
        ("n-plus-one-cost", "inventory", "4.1.0", "2026-11-23T01:06:33", None),
    ],
)
def test_the_other_bundled_incidents(name, service, version, since, mechanism):
    before, during = tk.load_sample(name)
    found = screen(during, before)
    assert found["cause"].values["service_name"] == service
    assert [(one["service_name"], one["version"]) for one in found["changed"].values["releases"]] == [
        (service, version)
    ]
    assert f"Roll back {service} to " in found["actions"].headline
    limits = found["started"].values
    if since is not None:
        release = int(np.datetime64(since, "ns").astype("int64"))
        assert limits["low_ns"] <= release + 10**9  # seen to the second
        assert limits["high_ns"] is None or limits["high_ns"] >= release
    if mechanism is not None:
        assert found["cause"].values["mechanism"] == mechanism


def test_every_line_is_a_finding_with_numbers_and_code(checkout):
    for line in checkout:
        assert isinstance(line, Finding)
        assert line.values, line.check
        assert line.code, line.check


def test_the_order_is_that_of_the_table(checkout):
    names = [line.name for line in LINES]
    assert [names.index(line.check) for line in checkout] == sorted(names.index(line.check) for line in checkout)


def test_a_healthy_pair_has_no_cause_and_no_action():
    rng = np.random.default_rng(3)
    before, now = (healthy(rng, "even", 200)[0].with_weights(1) for _ in range(2))
    found = screen(now, before)
    assert found.severity == "info"
    assert found["headline"].headline.startswith("No significant regression of the p95 of ")
    assert {"started", "cause", "actions", "affected"}.isdisjoint(line.check.removeprefix("screen.") for line in found)


def test_a_healthy_pair_of_few_traces_names_what_was_compared():
    rng = np.random.default_rng(1)
    before, now = (healthy(rng, "two samplers", 400)[0] for _ in range(2))
    found = screen(now, before)["headline"]
    assert found.headline == (
        f"No significant regression of the mean latency and the error rate (n = {len(before)} → {len(now)} traces); "
        "too few traces for an interval of the p95."
    )
    assert found.values["endpoint_count"] == 0


def test_another_version_without_a_regression_is_no_cause():
    before, _ = tk.load_sample("checkout-regression")
    spans = before.spans.astype({"service_version": object})
    spans.loc[spans["service_name"] == "ledger", "service_version"] = "1.5.0"
    found = screen(tk.TraceSet.from_spans(spans), before)
    assert found.severity == "info"
    assert found["changed"].headline == "ledger 1.4.0 → 1.5.0, first seen 04:57:06. No other service version changed."
    assert "cause" not in found


def test_without_versions_it_says_so():
    found = screen(*reversed(sides("own", "ledger")))
    assert found["changed"].headline.startswith("Service versions are not recorded (service.version).")
    assert "Roll back" not in found["actions"].headline


def test_without_a_baseline_no_regression_is_claimed():
    _, during = tk.load_sample("checkout-regression")
    found = screen(during)
    assert found["headline"].headline.startswith("Tail latency: ")
    assert found["period"].headline.startswith("Recorded 2026-11-21 04:59:03 to 05:00:41 UTC · 1,000 traces · ")
    assert not {"changed", "cause", "actions", "started"} & {line.check.removeprefix("screen.") for line in found}


def test_a_biased_sample_without_weights_begins_with_the_caveat():
    _, _, tail, _ = tk.load_sample("tail-sampled")
    first = screen(tail)[0]
    assert first.severity == "warning"
    told = "Sampling unknown: figures describe these 547 recorded traces, not all requests."
    assert first.headline.startswith(told)
    assert "screen.caveat" not in {line.check for line in screen(tail.with_weights("auto"))}


def test_what_weakens_the_conclusions_is_said():
    _, head, tail, _ = tk.load_sample("tail-sampled")
    said = screen(head)["weakened"]
    assert said.headline.startswith("Error capture: 9 of an estimated 72 failing requests have a trace")
    assert said.severity == "notice"
    both = screen(tail)
    assert both["caveat"].headline.endswith('Use weighted figures only: traces.with_weights("auto").') is False
    assert both["weakened"].headline not in both["caveat"].headline
    assert both["weakened"].headline.endswith(" 1 more finding on the quality of the data below.")


def test_two_samplers_are_not_compared():
    rng = np.random.default_rng(4)
    before, now = healthy(rng, "even", 100)[0].with_weights(1), healthy(rng, "even", 100)[0]
    found = screen(now, before)
    assert "not comparable" in found["headline"].headline.lower() or "differ" in found["headline"].headline.lower()
    assert found.severity == "warning"


def test_no_traces():
    assert not [line for line in screen(tk.load_sample("small-shop")[0].head(0)) if line.severity == "critical"]


def test_errors_are_said_before_latency():
    shop = Shop(np.random.default_rng(6)), Shop(np.random.default_rng(7), "failing", "ledger", share=0.4)
    before, now = shop[0].traces(200), shop[1].traces(200, begin=EPOCH + 3_600_000 * MS)
    found = screen(now.with_weights(1), before.with_weights(1))
    assert re.match(r"Error rate rose 0% → [34]\d\.\d%\.", found["headline"].headline)
    assert found.severity == "critical"
    assert found["cause"].values["service_name"] == "ledger"
    assert "the error rate was 0% in the baseline" in found["actions"].headline


def test_what_is_over_is_not_critical():
    rng = np.random.default_rng(8)
    hour = 3_600_000 * MS
    before = Shop(rng).traces(300)
    bad = Shop(rng, "own", "ledger").traces(150, begin=EPOCH + hour)
    good = Shop(rng).traces(300, begin=EPOCH + hour + 150_000 * MS)
    found = screen((bad + good).with_weights(1), before.with_weights(1))
    assert found.severity == "warning"
    assert re.search(r"Recovered at |Over when the data end", found["started"].headline)


def test_names_in_the_traces_are_cleaned_and_escaped():
    before, now = sides("own", "cart", seed=5)
    frames = [side.spans.astype({"service_name": object}) for side in (before, now)]
    frames = [frame.assign(service_name=frame["service_name"].replace("cart", "<b>ca\x1b[31mrt")) for frame in frames]
    found = screen(*(tk.TraceSet.from_spans(frame) for frame in reversed(frames)))
    assert "\x1b" not in str(found)
    assert "&lt;b&gt;" in found._repr_html_()
    assert "<b>ca" not in found._repr_html_()


def test_lines_by_name_and_by_place(checkout):
    assert checkout["cause"] is checkout[[line.check for line in checkout].index("screen.cause")]
    assert isinstance(checkout[:2], FirstScreen)
    assert "cause" in checkout
    assert "weather" not in checkout
    with pytest.raises(KeyError, match=r"expected a line among headline, .*, found 'weather'"):
        checkout["weather"]
    assert repr(checkout) == "FirstScreen(critical, 8 lines)"
    assert TITLES["screen.actions"] == "Do now"


def test_without_traces_on_one_side_nothing_is_said_to_be_worse():
    before, _ = tk.load_sample("small-shop")
    assert screen(before.head(0), before).severity != "critical"


def test_a_mean_that_rose_without_any_operation_is_no_regression():
    """Halves of one recording, drawn at random: one pair of forty has such a mean."""
    traces = tk.load_sample("checkout-regression")[0].head(600)
    rng = np.random.default_rng(4804)
    for _ in range(60):
        half = rng.permutation(len(traces)) < len(traces) // 2
        now, before = (traces.where(chosen[traces.forest.trace]).with_weights(1) for chosen in (half, ~half))
        means = [side.summary["root_duration_ns"].mean() for side in (before, now)]
        if means[1] > 1.12 * means[0]:
            break
    found = screen(now, before)
    assert found.severity in {"info", "notice"}
    assert "cause" not in found


def versioned(traces, version_at):
    """The traces, with a version of ledger for each of its spans by the rank of its request, from 0 to 1."""
    spans = traces.spans.astype({"service_version": object})
    rank = spans.groupby("trace_id")["start_ns"].transform("min").rank(method="dense", pct=True)
    is_ledger = spans["service_name"] == "ledger"
    spans.loc[is_ledger, "service_version"] = rank[is_ledger].map(version_at)
    return tk.TraceSet.from_spans(spans)


@pytest.mark.parametrize(
    ("now", "told"),
    [
        (lambda at: "1.5.0" if at > 0.5 else "1.4.0", "first seen after the regression began, "),
        (lambda at: "1.5.0" if at < 0.5 else "1.4.0", "no longer serving when the data end"),
    ],
)
def test_a_release_that_cannot_be_the_cause_is_not_rolled_back(now, told):
    before, during = tk.load_sample("checkout-regression")
    found = screen(versioned(during, now), versioned(before, lambda _: "1.4.0"))
    assert told in found["changed"].headline
    assert "Coincides" not in found["changed"].headline
    assert "Roll back" not in found["actions"].headline


def test_a_roll_back_does_not_lead_to_a_withdrawn_version():
    before, during = tk.load_sample("checkout-regression")
    was = versioned(before, lambda at: "1.4.1" if 0.3 < at < 0.4 else "1.4.0")
    found = screen(versioned(during, lambda _: "1.5.0"), was)
    assert found["actions"].headline.startswith("1. Roll back ledger to 1.4.0.")


def test_a_later_baseline_is_no_reason_to_act_now():
    before, during = tk.load_sample("checkout-regression")
    spans = before.spans.astype({"service_version": object})
    found = screen(during, tk.TraceSet.from_spans(spans.assign(start_ns=spans["start_ns"] + 3600 * 10**9,
                                                               end_ns=spans["end_ns"] + 3600 * 10**9)))  # fmt: skip
    assert found.severity == "warning"
    assert "the baseline is later than these traces" in found["period"].headline
    assert "started" not in found or "Still" not in found["started"].headline
    assert "Roll back" not in found["actions"].headline
    assert "Coincides" not in found["changed"].headline


def test_more_failures_within_the_limits_of_a_point_are_not_critical():
    """0.5% and 1.9% of 2,000 requests: the rate rose beyond doubt, by one percentage point not."""
    sets = []
    for at, (share, seed) in enumerate([(0.005, 1), (0.019, 2)]):
        rng = np.random.default_rng(seed)
        begin = EPOCH + at * 36_000_000 * MS
        frame = Shop(rng).traces(2000, begin=begin).spans.astype({"status_code": object})
        bad = frame["trace_id"].drop_duplicates().sample(int(2000 * share), random_state=seed)
        frame.loc[frame["trace_id"].isin(bad) & frame["parent_span_id"].isna(), "status_code"] = "ERROR"
        sets.append(tk.TraceSet.from_spans(frame).with_weights(1))
    found = screen(sets[1], sets[0])
    assert found["headline"].headline.startswith("Error rate rose 0.50% → 1.9%")
    assert found.severity == "warning"


def test_deployments_within_the_data_are_counted():
    before, during = tk.load_sample("checkout-regression")
    given = {f"flag {at}": f"2026-11-21T04:59:1{at}" for at in range(6)} | {"old": "2026-11-20", "later": "2026-11-22"}
    found = screen(during, before, deployments=given)["changed"].headline
    assert "Deployments: flag 0 at " in found
    assert "flag 3 at 2026-11-21 04:59:13 UTC and 2 more." in found
    assert "old" not in found


def test_a_release_has_its_date_where_the_incident_spans_two_days():
    before, during = tk.load_sample("checkout-regression")
    moved = [side.spans.assign(**{name: side.spans[name] + 19 * 3600 * 10**9 - 10 * 10**9
                                  for name in ("start_ns", "end_ns")}) for side in (before, during)]  # fmt: skip
    found = screen(*(tk.TraceSet.from_spans(spans) for spans in reversed(moved)))["changed"].headline
    assert "ledger 1.4.0 → 1.5.0, first seen 2026-11-21 23:58:53." in found


def test_without_times_versions_are_still_recorded():
    sets = [
        side.spans.drop(columns=["start_ns", "end_ns"]).assign(start_ns=None, end_ns=None)
        for side in tk.load_sample("checkout-regression")
    ]
    found = screen(*(tk.TraceSet.from_spans(spans) for spans in reversed(sets)))
    assert "vs baseline without times" in found["period"].headline
    assert "not recorded" not in found["changed"].headline


def test_a_baseline_without_versions_has_no_old_one():
    before, during = tk.load_sample("checkout-regression")
    bare = tk.TraceSet.from_spans(before.spans.drop(columns="service_version"))
    told = "Service versions are not recorded on both sides (service.version)."
    assert screen(during, bare)["changed"].headline.startswith(told)
