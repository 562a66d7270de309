"""The sections of a postmortem: what a planted incident gives, and that a healthy pair gives nothing."""

import re
import shlex

import numpy as np
import pandas as pd
import pytest
from investigation.worlds import FAULTS, incident, quiet

import tracekit as tk
from tracekit.analysis.compare.gates import evaluate
from tracekit.checks.postmortem import impact
from tracekit.checks.postmortem.result import LENGTHS, TITLES, Postmortem, numbers_of


@pytest.fixture(scope="module")
def sides():
    return tk.load_sample("cascading-failure")


@pytest.fixture(scope="module")
def story(sides):
    before, during = sides
    return tk.investigate(during, before).story


def texts(findings):
    return [one.headline for one in findings]


def checks_of(story):
    return [check for action in story.actions for check in action.checks]


# ------------------------------------------------------------------ a known incident


def test_the_sample_has_all_sections_in_order(story):
    assert story.sections == list(TITLES)
    assert story.frame()["section"].drop_duplicates().tolist() == list(TITLES)
    assert len(story.frame()) == len(story.findings)


def test_the_timeline_is_in_order_and_has_the_planted_onset(story, sides):
    times = [numbers_of(one)["at_ns"] for one in story.timeline]
    assert times == sorted(times)
    assert all(one.headline.startswith(numbers_of(one)["at"]) for one in story.timeline)
    (release,) = [one for one in story.timeline if "4.0.3 → 4.2.0" in one.headline]
    first = sides[1].spans.query("service_version == '4.2.0'")["start_ns"].min()
    assert abs(numbers_of(release)["at_ns"] - first) < 1e9
    (onset,) = [one for one in story.timeline if "Failed requests begin" in one.headline]
    assert numbers_of(onset)["at_ns"] <= numbers_of(onset)["until_ns"]


def test_the_waits_are_those_of_the_critical_paths(story, sides):
    by = ["service_name", "operation", "callee_service"]
    table = tk.critical_path(sides[0]).compare(tk.critical_path(sides[1]), by=by).table
    grown = table[table["is_significant"] & (table["change_ns"] > 0)]
    found = [one for one in story.waits if one.check == "postmortem.waits"]
    assert [one.estimate.value for one in found] == grown["change_ns"].head(8).tolist()


def test_the_hypothesis_has_evidence_and_counter_evidence(story):
    (one,) = story.hypotheses
    assert one.claim.headline == "Likely: the cause is at inventory (Slow instance)."
    evidence, counter = texts(one.evidence), texts(one.counter)
    assert any(text.startswith("inventory 4.0.3 → 4.2.0 was first seen") for text in evidence)
    assert "The errors of 11 of 13 failed requests begin in inventory POST /v1/reservations." in evidence
    told = "Only one instance of inventory has version 4.2.0: the traces cannot tell the version from the instance,"
    assert any(text.startswith(told) for text in counter)
    assert any("did not change significantly" in text for text in counter)


def test_the_gates_fail_on_the_incident_and_not_on_the_baseline(story, sides):
    before, during = sides
    middle = pd.Timestamp(int(before.summary["start_ns"].median()), tz="UTC")
    null = tk.compare(before.between(None, middle), before.between(middle, None))
    changes = tk.compare(before, during)
    commands = [numbers_of(one)["command"] for one in checks_of(story) if numbers_of(one)["kind"] == "diff"]
    assert len(commands) == 3
    for command in commands:
        *start, condition = shlex.split(command)
        assert start == ["tracekit", "diff", "BASELINE", "CURRENT", "--fail-if"]
        assert evaluate(condition, changes).outcome == "failed"
        assert evaluate(condition, null).outcome != "failed"
    (few,) = [one for one in checks_of(story) if "Within the baseline, too few" in one.headline]
    needed = evaluate(shlex.split(numbers_of(few)["command"])[-1], null).traces_needed
    assert few.headline.endswith(f"(exit code 3): it needs about {needed:,} traces a side.")


def test_the_queries_select_what_they_say(story, sides):
    for check in checks_of(story):
        numbers = numbers_of(check)
        if numbers["kind"] == "x-ray":
            assert [len(side.where(numbers["command"])) for side in sides] == [
                numbers["baseline_count"],
                numbers["count"],
            ]
    traceql = {numbers_of(one)["command"] for one in checks_of(story) if numbers_of(one)["kind"] == "traceql"}
    assert '{ resource.service.name = "inventory" && status = error }' in traceql
    slow = '{ resource.service.name = "storefront" && name = "POST /checkout" && duration > 107ms }'
    assert slow in traceql
    spans = sides[1].spans
    slow = spans[(spans["service_name"] == "storefront") & (spans["name"] == "POST /checkout")]
    (check,) = [one for one in checks_of(story) if "duration > 107ms" in one.headline]
    assert numbers_of(check)["count"] == slow.loc[slow["duration_ns"] > 107e6, "trace_id"].nunique()


def test_what_would_help_is_the_simulation(story, sides):
    found = tk.suspects(*sides, recovery=True)
    assert story.remedies[0].estimate.value == found.recovery.value
    assert "Simulated" in story.remedies[0].headline


@pytest.mark.parametrize(("kind", "seed"), [(kind, seed) for kind in FAULTS for seed in range(2)], ids=str)
def test_the_first_hypothesis_is_the_planted_service(kind, seed):
    before, now, begin = incident(np.random.default_rng([7, seed]), kind, tier="enterprise")
    story = tk.investigate(now, before).story
    assert numbers_of(story.hypotheses[0].claim)["service_name"] == FAULTS[kind][1]
    assert all(one.evidence and one.counter for one in story.hypotheses)
    assert not [one for one in story.limits if one.check == "failed"]
    onset = [one for one in story.timeline if "requests begin" in one.headline]
    assert all(numbers_of(one)["at_ns"] - 120e9 <= begin <= numbers_of(one)["until_ns"] + 120e9 for one in onset)


def test_too_few_traces_are_those_of_an_endpoint(story, sides):
    """All five endpoints have at least 36 traces: three have no interval of the change, none has too few traces."""
    before, during = sides
    assert tk.compare(before, during).endpoints["baseline_trace_count"].min() == 36
    said = "3 of 5 endpoints have too few traces for an interval of the p95: its change is not estimable."
    assert said in texts(story.limits)
    assert not any("fewer than 20 traces" in text for text in texts(story.limits))


def test_an_endpoint_with_19_traces_has_too_few(sides):
    condition = "service_name == 'storefront' and operation == 'GET /orders/{order_id}'"
    rare = [side.where(condition).trace_ids[19:] for side in sides]
    before, during = (side.where(~side.spans["trace_id"].isin(ids)) for side, ids in zip(sides, rare, strict=True))
    found = texts(tk.investigate(during, before).story.limits)
    assert "1 of 5 endpoints has fewer than 20 traces on a side: not enough to say whether it regressed." in found
    assert any(text.startswith("2 of 5 endpoints have too few traces for an interval") for text in found)


@pytest.mark.parametrize("kind", ["slow service", "failures"])
def test_no_condition_has_a_removed_name(kind):
    """A condition with ``[API token]`` would select nothing of the traces as they were recorded."""
    token = "sk_live_51HdkJ2eZvKYlo2C0abcdefgh"
    sides = []
    for side in incident(np.random.default_rng(3), kind)[:2]:
        spans = side.spans
        spans["service_name"] = spans["service_name"].astype(object).map(lambda name: f"{name} {token}")
        sides.append(tk.TraceSet.from_spans(spans).with_weights(1))
    before, now = sides
    as_recorded = checks_of(tk.investigate(now, before).story)
    assert any(token in numbers_of(one)["command"] for one in as_recorded)
    story = tk.investigate(now.redact(), before.redact()).story
    assert "[API token]" in story.hypotheses[0].claim.headline
    found = [one for one in checks_of(story) if numbers_of(one)["kind"] in {"diff", "x-ray", "traceql"}]
    assert not [one.headline for one in found if "API token" in one.headline]
    for one in found:
        *_, condition = shlex.split(numbers_of(one)["command"])
        assert evaluate(condition, tk.compare(before, now)).outcome == "failed"


def test_nothing_coincides_with_an_onset_that_is_not_known():
    """The mean latency rose after the baseline; by when is not known, so that the release may be after the onset."""
    before, during = tk.load_sample("n-plus-one-cost")
    case = tk.investigate(during, before)
    assert numbers_of(case.first_screen["started"])["high_ns"] is None
    unknown = "When in these traces the regression began is not known."
    assert case.first_screen["changed"].headline == (
        f"inventory 4.0.3 → 4.1.0, first seen 01:06:33. No other service version changed. ({unknown})"
    )
    back = f"Roll back inventory to 4.0.3: the baseline does not have 4.1.0. {unknown}"
    assert case.first_screen["actions"].headline.startswith(f"1. {back} 2. ")
    story = case.story
    assert story.actions[0].item.headline == back
    assert not any("oincides" in text for text in texts(story.findings))
    assert any(text.startswith("When it began is not known: only that it was after 2026-11-23 01:06:12 UTC")
               for text in texts(story.limits))  # fmt: skip


# ------------------------------------------------------------------ nothing to say


def says_nothing(story):
    kinds = {numbers_of(one)["kind"] for one in checks_of(story)}
    return not (story.hypotheses or story.impact or story.waits or story.remedies) and kinds <= {"instrumentation"}


def test_a_healthy_pair_claims_nothing():
    """Of 12 healthy pairs with releases; the first screen is calibrated on more."""
    quiet_stories = 0
    for seed in range(12):
        before, now = quiet(np.random.default_rng([11, seed]))
        quiet_stories += says_nothing(tk.investigate(now, before).story)
    assert quiet_stories >= 11


def test_the_same_traces_on_both_sides_claim_nothing(sides):
    story = tk.investigate(sides[0], sides[0]).story
    assert says_nothing(story)
    assert story.summary[0].headline.startswith("No significant regression")


def test_without_a_baseline_the_impact_is_whose_requests_fail():
    story = tk.investigate(tk.load_sample("checkout-xray")).story
    assert [one.headline.split(" (")[0] for one in story.impact] == ["Error rate of recorded requests 4.0%"]
    assert not story.hypotheses
    assert {one.check for one in story.waits} == {"postmortem.waits"}


@pytest.mark.parametrize("with_baseline", [False, True])
def test_one_trace(sides, with_baseline):
    one = sides[1].head(1)
    story = tk.investigate(one, sides[0].head(1) if with_baseline else None).story
    assert not story.hypotheses
    assert not story.impact
    assert not [line for line in story.limits if line.check == "failed"]
    assert any("too few" in line.headline.lower() or "fewer than 20" in line.headline for line in story.limits)
    for length in LENGTHS:
        assert story.cut(length).length == length


def test_no_traces():
    empty = tk.TraceSet.from_spans(tk.load_sample("small-shop")[0].spans.head(0))
    story = tk.investigate(empty).story
    assert not story.hypotheses
    assert not [line for line in story.limits if line.check == "failed"]


@pytest.mark.parametrize("empty", ["before", "now", "both"])
def test_a_side_without_traces(sides, empty):
    before, now = (
        side.head(0 if empty in {name, "both"} else 600) for name, side in zip(("before", "now"), sides, strict=True)
    )
    case = tk.investigate(now, before)
    story = case.story
    assert not [line.headline for line in story.limits if line.check == "failed"]
    assert not story.waits
    assert "not recorded on both sides" not in str(case)
    assert not story.hypotheses


def test_what_would_help_has_no_p95_of_a_few_requests(sides):
    few, many = (tk.investigate(sides[1].head(number)).story.remedies for number in (19, 600))
    assert few
    assert not any("p95" in text for text in texts(few))
    assert any("p95" in text for text in texts(many))


def test_what_would_help_leaves_out_a_p95_that_stays():
    """Of 40 requests one waits for the cache: without it the mean is lower, and the p95 the same."""
    rows = []
    for number in range(40):
        ids, start = f"{number + 1:032x}", number * 10**9
        slow = 10**6 if number == 0 else 0
        root = {"trace_id": ids, "span_id": "1" * 16, "service_name": "front", "name": "GET", "kind": "SERVER"}
        rows.append(root | {"start_ns": start, "end_ns": start + 10**7 + slow})
        if slow:
            below = {"span_id": "2" * 16, "parent_span_id": "1" * 16, "service_name": "cache", "kind": "INTERNAL"}
            rows.append(root | below | {"start_ns": start, "end_ns": start + slow})
    story = tk.investigate(tk.TraceSet.from_spans(pd.DataFrame(rows))).story
    (text,) = [text for text in texts(story.remedies) if text.startswith("Without cache")]
    assert text == "Without cache GET: mean latency 25.0 µs lower (what-if for 40 recorded requests)."


# ------------------------------------------------------------------ lengths


def test_a_shorter_one_counts_what_it_leaves_out(story):
    for length in LENGTHS:
        less = story.cut(length)
        for name in TITLES:
            assert less.count(name) + less.left_out.get(name, 0) == story.count(name)
    brief = story.cut("executive")
    assert sum(map(brief.count, TITLES)) < len(story.findings) / 2
    assert brief.hypotheses[0].counter
    assert brief.timeline[0].headline.startswith("2026-11-23 ")
    assert story.cut("full").findings == story.findings


def test_another_length_or_section_is_refused(story):
    with pytest.raises(ValueError, match=r"expected a length among executive, on-call, full, found 'long'"):
        story.cut("long")
    with pytest.raises(ValueError, match=r"expected a section among summary, .*, found 'causes'"):
        story.only("causes")


def test_it_is_shown_as_text_and_in_notebooks(story):
    assert repr(story).startswith("Postmortem(full: 1 hypothesis, 5 action items, ")
    assert "Root-cause hypotheses\n- Likely: the cause is at inventory" in str(story)
    assert "<i>Counter-evidence</i>" in story.only("hypotheses")._repr_html_()
    assert "Timeline" not in story.only("hypotheses")._repr_html_()
    assert repr(Postmortem()) == "Postmortem(full: 0 hypotheses, 0 action items, 0 findings)"


def test_the_factors_of_a_wait_multiply_to_its_mean():
    """Of all requests: the share that has the operation, its calls per request that has it, and the time per call."""
    before, during = tk.load_sample("checkout-regression")
    line = tk.investigate(during, before).story.waits[0].headline
    found = re.search(
        r": (\S+) µs → (\S+) ms per request of all \(.*in the (\S+)% of requests that have it, "
        r"calls per request (\S+) → (\S+), time per call (\S+) → (\S+) ms\.",
        line,
    )
    assert found is not None, line
    old, new, share, *factors = map(float, found.groups())
    assert share / 100 * factors[0] * factors[2] == pytest.approx(old / 1000, rel=0.02)
    assert share / 100 * factors[1] * factors[3] == pytest.approx(new, rel=0.02)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.3, "300 ms"), (98.7, "98.7 s"), (119.7, "2 min 0 s"), (3599, "59 min 59 s"), (3689, "1 h 1 min")],
)
def test_how_long_it_lasted_is_in_hours_and_minutes(seconds, words):
    assert impact.lasted_for(int(seconds * 1e9)) == words
