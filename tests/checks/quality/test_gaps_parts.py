"""Gaps of one zone, host or instance: invisible in the whole, and not to be taken for traffic that moved."""

import numpy as np
import pandas as pd
import pytest
from checks.quality import clean_worlds
from checks.quality.clean_worlds import recording
from checks.quality.worlds import EPOCH_NS, MINUTE, MS, SECOND, said, spans, status

import tracekit as tk
from tests.checks.test_checks_of_stores import agree
from tests.loading.store.split_stores import same, split
from tracekit import TraceSet
from tracekit.checks.case import build_case
from tracekit.checks.quality.gaps.parts import entries, parts

START = EPOCH_NS // MINUTE * MINUTE
OUTAGE = slice(30, 38)


def world(seed, *, lost=1.0, moved=False, zones=4, minutes=80, mean=200, share=0.3):
    """Requests to some zones; in eight minutes the collector of zone 1 is down, or its traffic goes to the others."""
    rng = np.random.default_rng(seed)
    asked = rng.poisson(mean, (zones, minutes))
    if moved:
        asked[:, OUTAGE] += (asked[1, OUTAGE] / (zones - 1)).astype(int)
        asked[1, OUTAGE] = 0
    chance = np.full((zones, minutes), share)
    chance[1, OUTAGE] *= 1 - lost * (not moved)
    kept = rng.binomial(asked, chance)
    zone, minute = (np.repeat(at.ravel(), kept.ravel()) for at in np.indices(kept.shape))
    begun = START + minute * MINUTE + rng.integers(0, MINUTE, len(minute))
    frame = spans(len(begun), start_ns=begun, end_ns=begun + MS)
    frame["attributes.cloud.availability_zone"] = np.array([f"eu-1{letter}" for letter in "abcdefgh"])[zone]
    times = pd.to_datetime(START + np.arange(minutes) * MINUTE, unit="ns", utc=True)
    by_zone = pd.DataFrame(
        {"time": np.tile(times, zones), "zone": np.repeat(list("abcdefgh")[:zones], minutes), "count": asked.ravel()}
    )
    return frame, by_zone.assign(zone="eu-1" + by_zone["zone"])


def total(by_zone):
    return by_zone.groupby("time", as_index=False)["count"].sum()


def scan(frame, requests):
    return tk.quality(TraceSet.from_spans(frame), requests=requests, checks=["gap.scan"])


@pytest.mark.parametrize("counted_apart", [False, True])
def test_a_zone_that_is_down_is_named(counted_apart):
    frame, by_zone = world(1, lost=0.6)
    plain = scan(frame.drop(columns="attributes.cloud.availability_zone"), total(by_zone))
    assert status(plain, "gap.scan") == "ok", "the guard of the world: the whole shows nothing"
    (found,) = scan(frame, by_zone if counted_apart else total(by_zone))
    assert found.severity == "critical"
    row = found.evidence[found.evidence["status"] == "failed"].iloc[0]
    assert row["scope"] == ("zone eu-1b" if counted_apart else "zone eu-1b of web")
    assert row["outcome"] == "lost"
    begin = pd.Timestamp(START + 30 * MINUTE, unit="ns", tz="UTC")
    assert (row["start_time"], row["end_time"]) == (begin, begin + pd.Timedelta("8min"))
    assert row["low"] < row["loss_ratio"] < row["high"]
    assert found.estimate.value == pytest.approx(0.6, abs=0.07)
    assert row["expected_traces"] == pytest.approx(8 * 200 * 0.3, rel=0.1)
    assert ("Its peers recorded no more traces than usual" in found.headline) == (not counted_apart)


@pytest.mark.parametrize("counted_apart", [False, True])
def test_a_zone_that_explains_the_gap_of_the_whole_is_named_instead(counted_apart):
    frame, by_zone = world(11, lost=1.0)
    requests = by_zone if counted_apart else total(by_zone)
    (found,) = scan(frame, requests)
    assert "`zone eu-1b" in found.headline
    assert set(found.evidence.loc[found.evidence["status"] == "failed", "scope"]) > {"all"}


def test_a_gap_of_another_zone_at_the_same_time_is_reported_too():
    frame, by_zone = world(12, lost=1.0)
    minute = (frame["start_ns"] - START) // MINUTE
    also = (frame["attributes.cloud.availability_zone"] == "eu-1d") & minute.isin([34, 35])
    found = scan(frame[~also], by_zone)
    assert sorted(one.headline.split("`")[1] for one in found) == ["zone eu-1b", "zone eu-1d"]
    assert {one.severity for one in found} == {"critical"}


def test_traffic_that_moved_to_other_zones_is_no_gap():
    frame, by_zone = world(2, moved=True)
    for requests in (total(by_zone), by_zone):
        assert status(scan(frame, requests), "gap.scan") == "ok"
    found = scan(frame, total(by_zone))
    assert "1 drop of one part only: its requests went to its peers" in said(found, "gap.scan")
    assert (found[0].evidence["outcome"] == "moved").sum() == 1


def test_nothing_is_reported_if_nothing_is_lost():
    frame, by_zone = world(3, lost=0.0)
    (found,) = scan(frame, total(by_zone))
    assert found.severity == "info"
    assert "nor in any of 4 services, zones, hosts and instances" in found.headline
    assert "handled by peers" not in found.headline


def test_few_peers_leave_it_open():
    """Of two instances that do little one is silent for eight minutes; the other does half as much again."""
    frame, by_zone = world(4, zones=2, mean=400, share=0.02)
    counts = total(by_zone)
    times = pd.to_datetime(frame["start_ns"], unit="ns", utc=True).dt.floor("min")
    rng = np.random.default_rng(5)
    ours = frame["attributes.cloud.availability_zone"] == "eu-1a"
    during = ours & times.between(counts["time"].iloc[30], counts["time"].iloc[37])
    more = frame[during & (rng.random(len(frame)) < 0.5)]
    more = more.assign(trace_id=[f"{n:032x}" for n in range(1, len(more) + 1)])
    (found,) = scan(pd.concat([frame, more]), counts)
    assert found.severity == "notice"
    assert "1 drop of one part: either lost traces, or requests that went to its peers" in found.headline
    assert "request counts by zone, host or instance" in found.remedy
    assert found.evidence["status"].tolist().count("inconclusive") == 1


def test_a_common_outage_is_not_reported_again_for_each_part():
    frame, by_zone = world(6, lost=0.0)
    minute = (frame["start_ns"] - START) // MINUTE
    for requests in (total(by_zone), by_zone):
        found = scan(frame[(minute < 40) | (minute >= 50)], requests)
        (one,) = found
        assert "of all traces" in one.headline


def test_an_instance_that_stops_for_good_is_no_gap():
    frame, by_zone = world(7, lost=0.0)
    gone = (frame["attributes.cloud.availability_zone"] == "eu-1b") & (frame["start_ns"] > START + 50 * MINUTE)
    assert status(scan(frame[~gone], total(by_zone)), "gap.scan") == "ok"


def families(frame, requests):
    case = build_case(TraceSet.from_spans(frame), requests=requests)
    return [list(family) for family in parts(case, entries(case))]


def test_hosts_that_are_instances_are_scanned_once_and_single_ones_not_at_all():
    frame, by_zone = world(8, minutes=40)
    zone = frame.pop("attributes.cloud.availability_zone")
    assert families(frame, total(by_zone)) == []
    assert families(frame.assign(host_name="h1"), total(by_zone)) == []
    hosts = frame.assign(host_name=zone.str[-1], service_instance_id="i-" + zone.str[-1])
    assert families(hosts, total(by_zone)) == [[f"host {letter} of web" for letter in "abcd"]]
    other = hosts.assign(service_instance_id=np.where(np.arange(len(hosts)) % 2, "i-1", "i-2"))
    assert [len(family) for family in families(other, total(by_zone))] == [4, 2]
    rare = hosts.assign(host_name=hosts["host_name"].mask(np.arange(len(hosts)) < 20, "seldom"))
    assert "host seldom of web" not in families(rare, total(by_zone))[0]


def test_parts_are_compared_with_their_own_service_and_its_counts():
    frame, by_zone = world(9, minutes=40)
    service = np.where(np.arange(len(frame)) % 4 == 0, "pay", "web")
    frame = frame.assign(service_name=service)
    counts = pd.concat([total(by_zone).assign(service=name) for name in ("web", "pay")])
    case = build_case(TraceSet.from_spans(frame), requests=counts)
    (family,) = parts(case, entries(case))
    assert len(family) == 8
    for name in ("web", "pay"):
        part = family[f"zone eu-1a of {name}"]
        assert (part.traces + part.others).sum() == (service == name).sum()
        assert part.requests.sum() == total(by_zone)["count"].sum()


def test_what_may_be_private_is_masked():
    frame, by_zone = world(10, minutes=40)
    zone = frame.pop("attributes.cloud.availability_zone")
    frame["host_name"] = "jo" + zone.str[-1] + "@example.org"
    (found,) = families(frame, total(by_zone))
    assert found[0] == "host jo... (masked) of web"


def test_parts_that_are_masked_alike_are_all_scanned():
    frame, by_zone = world(10, minutes=40)
    frame["host_name"] = "i-" + frame.pop("attributes.cloud.availability_zone").str[-1] + "123456789"
    (found,) = families(frame, total(by_zone))
    assert found == ["host i-... (masked) of web", *[f"host i-... (masked) {n} of web" for n in (2, 3, 4)]]


def test_of_many_hosts_that_do_little_none_is_blamed_for_chance():
    """Two hundred traces a host and day: the usual share of a minute was taken for nothing, any trace for a miracle."""
    rng = np.random.default_rng(12)
    n, minutes = 60_000, 1440
    begun = START + np.sort(rng.integers(0, minutes * MINUTE, n))
    frame = spans(n, start_ns=begun, end_ns=begun + MS).assign(
        host_name=[f"h{at:03d}" for at in rng.integers(0, 300, n)]
    )
    times = pd.to_datetime(START + np.arange(minutes) * MINUTE, unit="ns", utc=True)
    held = np.bincount((begun - START) // MINUTE, minlength=minutes)
    counts = pd.DataFrame({"time": times, "count": held + rng.poisson(20 * n / minutes, minutes)})
    (found,) = scan(frame, counts)
    assert found.severity == "info"
    assert "nor in any of 300 services" in found.headline


def test_a_few_traces_are_too_few_for_gaps():
    frame, by_zone = world(13, minutes=40, mean=4, share=0.01)
    assert status(scan(frame.iloc[:29], total(by_zone)), "gap.scan") == "not_assessable"


def down(case, *, where, seed=1):
    """A healthy recording, its traces without those of some instances in minutes 20 to 29, and its requests."""
    frame, requests = recording(np.random.default_rng(seed), case, mean=90)
    frame = frame[frame["span_id"] == "1"]
    minute = (frame["start_ns"] - clean_worlds.START) // MINUTE
    return frame[~(minute.between(20, 29) & frame["service_instance_id"].isin(where))], requests


@pytest.mark.parametrize(
    ("where", "scope"),
    [
        (["shop-1", "shop-3"], "zone eu-1b of shop"),
        (["shop-1"], "host shop-host-1 of shop"),
        (["shop-0", "shop-1", "shop-2", "shop-3"], "all"),
    ],
)
def test_one_gap_is_reported_once_at_the_level_that_explains_it(where, scope):
    """A zone of two hosts with an instance each."""
    frame, requests = down("even", where=where)
    (found,) = scan(frame, requests)
    assert found.severity == "critical"
    alarms = found.evidence[found.evidence["status"] == "failed"]
    assert set(alarms["reported_as"]) == {scope}
    assert (f"`{scope}`" if scope != "all" else "of all traces") in found.headline
    assert tk.collection_gaps(TraceSet.from_spans(frame), requests=requests).gaps["scope"].tolist() == [scope]


def test_a_gap_of_half_a_minute_has_seconds():
    frame, _ = recording(np.random.default_rng(2), "even", mean=200)
    frame = frame[frame["span_id"] == "1"]
    second = (frame["start_ns"] - clean_worlds.START) // SECOND
    half = second // 30
    times = pd.to_datetime(clean_worlds.START + np.arange(120) * 30 * SECOND, unit="ns", utc=True)
    requests = pd.DataFrame({"time": times, "count": np.bincount(half, minlength=120) * 2})
    (found,) = scan(frame[half != 41], requests)
    begin = times[41]
    assert f"from {begin:%Y-%m-%d %H:%M:%S} to {begin + pd.Timedelta('30s'):%H:%M:%S} UTC" in found.headline


@pytest.mark.parametrize("case", ["dominant instance", "failed over", "autoscaled", "rolling deployment"])
def test_requests_that_move_between_instances_are_no_gap(case):
    """Nearly all the work of one instance was divided by nearly none: a billion traces were missing."""
    for seed in range(2):
        frame, requests = down(case, where=[], seed=seed)
        (found,) = scan(frame, requests)
        assert found.severity in {"info", "notice"}
        assert (found.evidence["expected_traces"] <= found.evidence["requests"]).all()


@pytest.mark.parametrize(("minutes", "severity"), [(5, "warning"), (10, "critical")])
def test_a_loss_that_the_sum_of_all_peers_leaves_in_doubt_is_a_warning(minutes, severity):
    """Twelve traces a minute by four instances, of which one loses three a minute."""
    minute, at = np.divmod(np.arange(60 * 12), 12)
    begun = START + minute * MINUTE + at * SECOND
    frame = spans(len(minute), start_ns=begun, end_ns=begun + MS, service_instance_id=[f"i-{one % 4}" for one in at])
    is_down = (minute >= 30) & (minute < 30 + minutes) & (at % 4 == 2)
    times = pd.to_datetime(START + np.arange(60) * MINUTE, unit="ns", utc=True)
    (found,) = scan(frame[~is_down], pd.DataFrame({"time": times, "count": 60}))
    assert found.severity == severity
    assert ("probably lost and not handled by peers" in found.headline) == (severity == "warning")
    assert found.remedy.startswith("Pass request counts by zone" if severity == "warning" else "Check collectors")


@pytest.mark.parametrize(
    ("count", "counted"), [(1, "by zone"), (64, "by zone"), (7, "in total"), (1, "by service"), (7, "by service")]
)
def test_gaps_of_a_store_are_those_of_the_whole(counted, count, tmp_path):
    """The outage of one zone and a shorter one of another, with a second service and instances."""
    frame, by_zone = world(12, lost=0.9)
    minute = (frame["start_ns"] - START) // MINUTE
    also = (frame["attributes.cloud.availability_zone"] == "eu-1d") & minute.isin([34, 35])
    frame = frame[~also].reset_index(drop=True)
    frame["attributes.service.instance.id"] = [f"pod {n % 3}" for n in range(len(frame))]
    frame["service_name"] = np.where(np.arange(len(frame)) % 4 == 0, "pay", "web")
    halves = [total(by_zone).assign(service=name, share=share) for name, share in (("web", 0.75), ("pay", 0.25))]
    by_service = pd.concat(halves).assign(count=lambda table: (table["count"] * table["share"]).round().astype(int))
    requests = {"by zone": by_zone, "in total": total(by_zone), "by service": by_service.drop(columns="share")}[counted]
    traces = TraceSet.from_spans(frame)
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    agree(scan_of(store, requests), scan_of(traces, requests))
    assert {one.status for one in scan_of(store, requests)} & {"failed", "warning"}
    found, expected = (tk.collection_gaps(each, requests=requests) for each in (store, traces))
    same(found.table, expected.table)
    same(found.gaps, expected.gaps)
    assert found.headlines == expected.headlines


def scan_of(traces, requests):
    """Findings of the check."""
    return tk.quality(traces, requests=requests, checks=["gap.scan"])
