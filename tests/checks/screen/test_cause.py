"""Two causes at once: both are named, both are acted on, and the prediction says what it removes."""

import numpy as np
import pandas as pd
import pytest
from analysis.suspects.planted import EPOCH, MS, sides
from investigation.worlds import incident

import tracekit as tk

HOUR = 3_600_000 * MS


def recording(seed, begin, *, slow=(), releases=True, n=300):
    """Requests to web, one a second, with a call to pricing and one to stock, each in a new version where slow."""
    rng, rows = np.random.default_rng(seed), []
    for k in range(n):
        trace, now, calls = rng.bytes(16).hex(), begin + k * 1000 * MS, []
        at = now + int(3 * MS * rng.lognormal(0, 0.3))
        for service in ("pricing", "stock"):
            took = int(6 * MS * rng.lognormal(0, 0.3) * (5 if service in slow else 1))
            calls.append((service, at, at + took + 2 * MS))
            at += took + 3 * MS
        rows.append((trace, "1", None, "web", "GET /", "SERVER", now, at + 2 * MS, "1.0.0"))
        for number, (service, first, last) in enumerate(calls):
            version = "2.0.0" if service in slow and releases else "1.0.0"
            rows += [
                (trace, f"2{number}", "1", "web", f"call {service}", "CLIENT", first, last, "1.0.0"),
                (
                    trace,
                    f"3{number}",
                    f"2{number}",
                    service,
                    f"GET /{service}",
                    "SERVER",
                    first + MS,
                    last - MS,
                    version,
                ),
            ]
    names = ("trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "start_ns", "end_ns",
             "service_version")  # fmt: skip
    spans = pd.DataFrame(rows, columns=names)
    for column in ("span_id", "parent_span_id"):
        spans[column] = spans[column].map(lambda one: one.zfill(16), na_action="ignore")
    return tk.TraceSet.from_spans(spans).with_weights(1)


@pytest.fixture(scope="module")
def before():
    return recording(1, EPOCH)


def numbers(line):
    return line.values  # noqa: PD011 - not a frame


def lines(now, before):
    return tk.investigate(now, before).first_screen


def test_both_are_named_and_rolled_back(before):
    screen = lines(recording(2, EPOCH + HOUR, slow=("pricing", "stock")), before)
    names = {"pricing", "stock"}
    first = numbers(screen["cause"])["service_name"]
    (other,) = names - {first}
    assert [one["operation"] for one in numbers(screen["cause"])["others"]] == [f"GET /{other}"]
    assert f" Also slower: {other} GET /{other}, +2" in screen["cause"].headline
    done = screen["actions"]
    assert done.headline.startswith(
        f"1. Roll back {first} to 1.0.0. 2. Roll back {other} to 1.0.0 as well ({other} GET"
    )
    assert f"that is with only {first} back at its baseline: {other} GET /{other} (+2" in done.headline
    assert [one["roll_back"] for one in numbers(done)["also_roll_back"]] == [other]
    both = sum(one["change_ns"] for one in numbers(screen["cause"])["others"]) + numbers(screen["cause"])["change_ns"]
    assert both == pytest.approx(2 * 4 * 6 * MS * np.exp(0.3**2 / 2), rel=0.1)


def test_without_a_release_the_other_is_to_be_looked_at(before):
    screen = lines(recording(2, EPOCH + HOUR, slow=("pricing", "stock"), releases=False), before)
    first = numbers(screen["cause"])["service_name"]
    (other,) = {"pricing", "stock"} - {first}
    assert f" Look at {other} GET /{other}: +2" in screen["actions"].headline
    assert "Roll back" not in screen["actions"].headline


def test_one_cause_is_named_alone(before):
    for seed in range(3, 9):
        screen = lines(recording(seed, EPOCH + HOUR, slow=("stock",)), before)
        assert numbers(screen["cause"])["others"] == []
        assert "as well" not in screen["actions"].headline
        assert "that is with" not in screen["actions"].headline


@pytest.mark.parametrize("tier", [None, "enterprise"])
def test_calls_of_one_cause_are_no_second_one(tier):
    """One service calls all others five times as often: what it calls is no cause of its own."""
    screen = lines(*incident(np.random.default_rng(1000), "N+1 calls", tier=tier)[1::-1])
    assert len(numbers(screen["cause"])["others"]) > 1
    assert "Also slower" not in screen["cause"].headline
    assert " as well" not in screen["actions"].headline


@pytest.mark.parametrize(
    ("fault", "service"), [("way in", "ledger"), ("way out", "cart"), ("starved", "ledger"), ("starved", "stock")]
)
def test_waits_of_one_service_are_one_cause(fault, service):
    """The calls to it, or from it, are slower: nothing of them remains when it is as before."""
    now, before = reversed(sides(fault, service, seed=0, baseline=200, current=150))
    screen = lines(now, before)
    assert numbers(screen["cause"])["service_name"] == service
    assert "Also slower" not in screen["cause"].headline
    assert "With it: " in screen["cause"].headline
    assert " as well" not in screen["actions"].headline
    assert "remains" not in screen["actions"].headline
