"""Deployments: versions that appear, told from versions that serve side by side all the time."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.analysis.deployments import deployments_in, deployments_of, earliest, first_versions

SECOND = 10**9
BEGIN = 1_790_000_000 * SECOND


def ahead(frame, version, seconds):
    """The hosts of one version have a clock that is ahead."""
    is_fast = (frame["service_version"] == version) & frame["service_name"].str.startswith("service")
    return frame.assign(**{name: frame[name] + is_fast * seconds * SECOND for name in ("start_ns", "end_ns")})


def behind_gateway(frame):
    """The same requests behind a gateway with a version of its own."""
    roots = frame[frame["parent_span_id"].isna()]
    root = roots.assign(span_id="a" + roots["span_id"].str[1:], service_name="gateway", service_version="1.0")
    below = frame.assign(parent_span_id=frame["parent_span_id"].fillna("a" + frame["span_id"].str[1:]))
    return pd.concat([root, below], ignore_index=True)


def world(seed, *, services=10, shares=(0.7, 0.3), count=600, spans=2, arrival="even"):
    """Requests to services with several versions at once: each request is served by one of them, by chance."""
    rng = np.random.default_rng(seed)
    total = services * count
    place = {"even": rng.random(total), "ramp": np.sqrt(rng.random(total)), "night": rng.beta(20, 1, total)}[arrival]
    start = BEGIN + (place * 3600 * SECOND).astype(np.int64)
    frame = pd.DataFrame(
        {
            "trace_id": [f"{n + 1:032x}" for n in range(total)],
            "span_id": [f"{n + 1:016x}" for n in range(total)],
            "parent_span_id": None,
            "service_name": np.repeat([f"service {n}" for n in range(services)], count),
            "service_version": np.array([f"{n}.0" for n in range(len(shares))])[
                rng.choice(len(shares), total, p=shares)
            ],
            "name": "GET /",
            "start_ns": start,
            "end_ns": start + 1000,
        }
    )
    inner = [
        frame.assign(parent_span_id=frame["span_id"], span_id=[f"{at * total + n + 1:016x}" for n in range(total)])
        for at in range(1, spans)
    ]
    return pd.concat([frame, *inner], ignore_index=True)


@pytest.mark.parametrize("arrival", ["even", "ramp", "night"])
@pytest.mark.parametrize("shares", [(0.5, 0.5), (0.97, 0.03), (0.4, 0.3, 0.2, 0.1), (0.99, 0.01)])
def test_versions_that_serve_side_by_side_are_no_deployments(shares, arrival):
    worlds = [world(seed, shares=shares, arrival=arrival, count=300, spans=1) for seed in range(6)]
    found = [len(deployments_of(tk.TraceSet.from_spans(frame))) for frame in worlds]
    assert sum(map(bool, found)) <= 1  # 1% of recordings are wrong at most


@pytest.mark.parametrize("seconds", [-300, 300])
@pytest.mark.parametrize("is_entry", [False, True])
def test_hosts_with_a_fast_clock_are_no_deployment(is_entry, seconds):
    """Of 50 requests within 300 s, all are on one version by its own clock: the other appeared later."""
    frame = world(2, services=1, shares=(0.5, 0.5))
    if is_entry:  # it calls another service, the clock of which is right
        below = frame["parent_span_id"].notna()
        frame = frame.assign(
            service_name=np.where(below, "ledger", frame["service_name"]),
            service_version=np.where(below, "3.0", frame["service_version"]),
        )
    else:
        frame = behind_gateway(frame)
    assert not len(deployments_of(tk.TraceSet.from_spans(ahead(frame, "1.0", seconds))))


@pytest.mark.parametrize("after", [0.05, 0.5, 0.95])
@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_a_version_that_appears_is_a_deployment(share, after):
    """Service 3 gets version 2.0 at a time of its own, on some of the requests or on all."""
    frame = world(4, shares=(1.0,), count=2000)
    rng = np.random.default_rng(1)
    at = BEGIN + int(after * 3600) * SECOND
    is_new = (frame["service_name"] == "service 3") & (frame["start_ns"] >= at)
    chosen = frame["trace_id"].map(dict(zip(frame["trace_id"].unique(), rng.random(20_000) < share, strict=True)))
    frame.loc[is_new & chosen.to_numpy(bool), "service_version"] = "2.0"
    (found,) = deployments_of(tk.TraceSet.from_spans(frame)).to_dict("records")
    assert (found["service_name"], found["previous_version"], found["service_version"]) == ("service 3", "0.0", "2.0")
    assert at <= found["first_ns"] < at + 60 * SECOND


@pytest.mark.parametrize("count", [1, 3, 5])
def test_a_version_after_which_no_other_is_seen_is_a_deployment(count):
    frame = pd.concat(
        [world(2, services=1, shares=(1.0,), count=1000), world(3, services=1, shares=(1.0,), count=count)]
    )
    late = np.arange(len(frame)) >= 2000
    frame.loc[late, "service_version"] = "2.0"
    frame["trace_id"] = np.where(late, "f" + frame["trace_id"].str[1:], frame["trace_id"])
    frame[["start_ns", "end_ns"]] += late[:, None] * 3600 * SECOND
    found = deployments_of(tk.TraceSet.from_spans(frame))
    assert found["service_version"].tolist() == ["2.0"]


def test_a_spare_version_in_the_middle_is_open():
    """One request of a thousand on another version: it may as well have been there before."""
    frame = world(5, services=1, shares=(1.0,), count=1000, spans=1).sort_values("start_ns", ignore_index=True)
    frame.loc[500, "service_version"] = "2.0"
    assert not len(deployments_of(tk.TraceSet.from_spans(frame)))


@pytest.mark.parametrize("count", [1, 7])
def test_deployments_of_a_store_are_those_of_the_whole(count, tmp_path):
    frame = world(6, shares=(0.6, 0.4), count=1500)
    is_new = (frame["service_name"] == "service 1") & (frame["start_ns"] > BEGIN + 1800 * SECOND)
    frame.loc[is_new, "service_version"] = "3.0"
    traces = tk.TraceSet.from_spans(frame)
    store = split(traces, tmp_path / "a.parquet", count)
    found, expected = (tk.timeline(each).deployments for each in (store, traces))
    pd.testing.assert_frame_equal(found, expected)
    assert found["service_version"].tolist() == ["3.0"]


@settings(max_examples=20, deadline=None)
@given(order=st.permutations(range(4)), seed=st.integers(0, 1000))
def test_the_order_of_parts_does_not_matter(order, seed):
    traces = tk.TraceSet.from_spans(world(seed, services=2, count=40))
    number = np.random.default_rng(seed).integers(0, 4, len(traces))
    parts = [first_versions(traces.where((number == at)[traces.forest.trace])) for at in range(4)]
    found, expected = earliest([parts[at] for at in order]), earliest([first_versions(traces)])
    names = ["service_name", "service_version", "first_ns", "last_ns", "trace_count"]
    pd.testing.assert_frame_equal(found[names], expected[names])
    for name in ("starts", "latest"):
        assert [each.tolist() for each in found[name]] == [each.tolist() for each in expected[name]]
    pd.testing.assert_frame_equal(deployments_in(found), deployments_in(expected))


def test_without_versions_there_are_none():
    frame = world(1, services=1, count=3).drop(columns="service_version")
    assert not len(deployments_of(tk.TraceSet.from_spans(frame)))
