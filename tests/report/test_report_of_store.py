"""The report of a store is made from states: the same claims and tables, and what is not made is named."""

import json
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

import tracekit as tk
from tests.checks.findings_alike import close
from tests.loading.store.split_stores import COUNTS, same, split
from tracekit.checks.case import Case
from tracekit.checks.overview import Overview
from tracekit.checks.registry import CHECKS, run_check
from tracekit.cli import app
from tracekit.errors import RenderError
from tracekit.loading.store.rounds import Rounds
from tracekit.loading.store.trace_store import TraceStore
from tracekit.report.ledger import ledger_in
from tracekit.report.redaction import Outgoing
from tracekit.report.sides import sides_of
from tracekit.report.standard import Standard

TABLES = ("requests", "entries", "operations", "graph", "errors")


@pytest.fixture(scope="module")
def traces():
    """Recorded requests with weights, some without an end, some incomplete."""
    frame = tk.load_sample("checkout-regression")[1].spans
    rng = np.random.default_rng(5)
    chosen = frame["trace_id"].isin(rng.choice(frame["trace_id"].unique(), 30, replace=False))
    is_root = frame["parent_span_id"].isna()
    frame = frame[~(chosen & (rng.random(len(frame)) < 0.1) & ~is_root)].copy()
    is_root = frame["parent_span_id"].isna()
    some = is_root & (rng.random(len(frame)) < 0.02)
    frame.loc[some, ["end_ns", "duration_ns"]] = pd.NA
    frame.loc[~is_root & (rng.random(len(frame)) < 0.002), ["end_ns", "duration_ns"]] = pd.NA
    frame.loc[is_root & ~some & (rng.random(len(frame)) < 0.004), "status_code"] = "ERROR"
    found = tk.TraceSet.from_spans(frame)
    return found.with_weights(rng.uniform(1, 30, len(found)))


@pytest.mark.parametrize("count", COUNTS)
def test_checks_of_parts_find_the_same(traces, tmp_path, count):
    traces = traces.head(300) if count > 7 else traces
    store = split(traces, tmp_path / "a.parquet", count, seed=count)
    some = {"failures", "unfinished", "incomplete", "tail", *["failing_calls"] * (count <= 7)}
    found, expected = Case(Rounds().of(store)), Case(traces)
    wanted = {check: run_check(check, expected) for check in CHECKS}
    assert some <= {finding.check for own in wanted.values() for finding in own}
    for check, own in wanted.items():
        close(run_check(check, found), own)


@settings(max_examples=8, deadline=None)
@given(count=st.integers(1, 6), seed=st.integers(0, 2**31), order=st.randoms(use_true_random=False))
def test_what_a_recording_contains_is_the_same_in_any_parts_and_order(tmp_path_factory, count, seed, order):
    few = tk.load_sample("checkout-regression")[1].head(40)
    rng = np.random.default_rng(seed)
    few = few.with_weights(rng.uniform(1, 9, len(few)))
    store = split(few, tmp_path_factory.mktemp("any") / "a.parquet", count, seed)
    numbers = list(range(store.part_count))
    order.shuffle(numbers)
    found, expected = Overview(TraceStore(store.path, store._marker, tuple(numbers))).content, Overview(few).content
    assert found.counts == expected.counts
    assert found.period_ns == expected.period_ns
    assert found.services == expected.services
    assert found.weight_limits == expected.weight_limits
    assert found.slowest.index.tolist() == expected.slowest.index.tolist()
    assert found.weights.weight_sum == pytest.approx(expected.weights.weight_sum, rel=1e-9)
    same(found.origins, expected.origins)


@pytest.mark.parametrize("count", [1, 5])
def test_tables_and_pictures_are_the_same(traces, tmp_path, count):
    store = split(traces, tmp_path / "a.parquet", count)
    found, expected = Overview(store), Overview(traces)
    for name in TABLES:
        for field, frame in vars(getattr(expected, name)).items():
            if isinstance(frame, pd.DataFrame):
                same(getattr(getattr(found, name), field), frame)
    same(found.waits, expected.waits)
    assert (found.timed_count, found.trace_count) == (len(expected.path.latency_ns), len(traces))
    assert found.trace_count - found.timed_count == expected.path.unfinished_count > 0
    assert found.rate_per_s == pytest.approx(expected.rate_per_s, rel=1e-9)
    pages = [tk.report(one, tmp_path / "r.html", redact=None).read_text() for one in (store, traces)]
    volumes = [re.search(r'<section id="volume".*?</section>', page, re.DOTALL)[0] for page in pages]
    words = [re.findall("<title>(.*?)</title>", volume) for volume in volumes]
    assert words[0] == words[1] != []


def test_exemplar_traces_are_those_of_the_store_with_its_clock_offsets(traces, tmp_path):
    late = traces.spans.copy()
    hosts = sorted(late["host_name"].dropna().unique())
    is_late = (late["host_name"].astype(object) == hosts[0]).to_numpy(bool)
    for name in ("start_ns", "end_ns"):
        late[name] += np.where(is_late, 1_000_000_000, 0)
    skewed = tk.TraceSet.from_spans(late)
    page = Standard.between(sides_of(split(skewed, tmp_path / "a.parquet", 5)))
    assert len(page.shown.embedded) > 5
    whole = tk.critical_path(skewed)
    assert len(whole.offsets)
    by_trace = whole.traces.set_index("trace_id")["latency_ns"]
    own = page.shown.path.spans.merge(whole.spans, on=["trace_id", "span_id"], suffixes=("", "_whole"))
    assert len(own) == len(page.shown.path.spans)
    assert (own["path_time_ns"] == own["path_time_ns_whole"]).all()
    assert set(page.shown.embedded) <= set(by_trace.index) | set(skewed.trace_ids)


def test_the_size_of_the_page_does_not_depend_on_the_size_of_the_store(traces, tmp_path):
    parts = []
    for number in range(8):
        frame = traces.head(150).spans.copy()
        frame["trace_id"] = [f"{number}{one[1:]}" for one in frame["trace_id"]]
        parts.append(tk.TraceSet.from_spans(frame))
    sizes = []
    for count in (1, 8):
        whole = parts[0]
        for more in parts[1:count]:
            whole = whole + more
        store = split(whole, tmp_path / f"{count}.parquet", count)
        sizes.append(tk.report(store, tmp_path / "r.html").stat().st_size)
    assert sizes[1] < 1.1 * sizes[0]


def test_each_round_reads_every_part_once(traces, tmp_path, monkeypatch):
    read = []
    store = split(traces, tmp_path / "a.parquet", 4)
    task = type(store.tasks[0])
    own = task.read
    monkeypatch.setattr(task, "read", lambda self: (read.append(self.number), own(self))[1])
    tk.report(store, tmp_path / "r.html")
    assert len(read) == 4 * (len(read) // 4) <= 4 * 10


def test_nothing_personal_leaves(tmp_path):
    frame = tk.load_sample("checkout-regression")[1].head(50).spans.copy()
    frame["name"] = frame["name"].astype(object).where(frame.index % 7 != 0, "send to jane.doe@example.com")
    frame["http.request.header.authorization"] = "Bearer abcdef0123456789abcdef0123456789"
    store = split(tk.TraceSet.from_spans(frame), tmp_path / "a.parquet", 3)
    text = tk.report(store, tmp_path / "r.html").read_text()
    assert "jane.doe@example.com" not in text
    assert "removed from what is shown of the store. " in text
    assert "jane.doe@example.com" in tk.report(store, tmp_path / "r.html", redact=None).read_text()


SECRETS = {
    "xoxb-123456789012-abcdefABCDEFghijklmnopqr": "xoxb-123456789012-abcdefABCDEFghijklmnopqr slack",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789": "failed token ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "AKIAIOSFODNN7EXAMPLE": "card 4111 1111 1111 1111 of AKIAIOSFODNN7EXAMPLE refused",
    "jane.doe42x@corp-secret.com": "login jane.doe42x@corp-secret.com denied",
    "9f8a7b6c5d4e3f2a1b0c": "connect to https://api.x.io/?api_key=9f8a7b6c5d4e3f2a1b0c failed",
    "hunter2secret": "bad password=hunter2secret for bob",
}


def _otlp(spans, service="shop"):
    """A request of OTLP in JSON, as a line."""
    resource = {"attributes": [{"key": "service.name", "value": {"stringValue": service}}]}
    return json.dumps({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": spans}]}]})


def _span(at, **more):
    """A span of its own trace."""
    begun = 1767268800 * 10**9 + at * 10**8
    times = {"startTimeUnixNano": str(begun), "endTimeUnixNano": str(begun + 10**6 * (1 + at % 9))}
    return {"traceId": f"{at + 1:032x}", "spanId": f"{at + 1:016x}", "name": "GET /u", "kind": 2, **times, **more}


def _failing(at, message):
    """A failed span with an exception."""
    known = {"exception.message": message, "exception.type": "Err"}
    attributes = [{"key": key, "value": {"stringValue": value}} for key, value in known.items()]
    event = {"timeUnixNano": str(1767268800 * 10**9), "name": "exception", "attributes": attributes}
    return _span(at, status={"code": 2}, events=[event])


def _parts_of(text):
    """Every eight characters in a row of a secret without digits, and all of a mixed one."""
    return {text[at : at + 8] for at in range(len(text) - 7) if not any(map(str.isdigit, text[at : at + 8]))}


def test_exception_messages_are_redacted_before_they_become_templates(tmp_path):
    messages = [*SECRETS.values(), "order 17 failed", "order 18 failed"]
    lines = [_otlp([_failing(at, messages[at % len(messages)])]) for at in range(80)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    tk.convert(tmp_path / "a.jsonl", tmp_path / "a.parquet", spans_at_once=30)
    store, whole = tk.open(tmp_path / "a.parquet"), tk.read(tmp_path / "a.jsonl")
    page = tk.report(store, tmp_path / "r.html").read_text()
    kept = [part for secret in SECRETS for part in {secret, *_parts_of(secret)} if part in page]
    assert kept == []
    found = Standard.between(sides_of(store), outgoing=Outgoing.of("default")).seen.errors.exceptions
    expected = tk.errors(whole.redact()).exceptions
    for one in (found, expected):
        assert "order <n> failed" in one["exception_message"].tolist()
    assert sorted(found["exception_message"]) == sorted(expected["exception_message"])
    assert "Personal data and secrets were removed from what is shown of the store. " in page
    assert "ghp_abcdefghijklmnopqrstuvwxyz" in tk.report(store, tmp_path / "r.html", redact=None).read_text()


def test_a_page_by_parts_shows_no_secret_of_a_message(tmp_path):
    lines = [_otlp([_failing(at, [*SECRETS.values()][at % len(SECRETS)])]) for at in range(40)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    tk.convert(tmp_path / "a.jsonl", tmp_path / "a.parquet", spans_at_once=20)
    page = tmp_path / "r.html"
    ran = CliRunner().invoke(app, ["report", str(tmp_path / "a.parquet"), "--by-parts", "-o", str(page)])
    assert ran.exit_code == 0, ran.output
    assert not [secret for secret in SECRETS for part in {secret, *_parts_of(secret)} if part in page.read_text()]


@pytest.mark.parametrize("of", ["service", "callee"])
def test_names_of_services_are_kept_as_in_memory(tmp_path, of):
    """But for those of people."""
    name, person = "svc-anna.svc@corp-secret.com", "gina.peer@corp-secret.com"
    service, callee = (name, person) if of == "service" else (person, name)
    lines = []
    for at in range(40):
        root = _failing(at, "login jane.doe42x@corp-secret.com denied")
        attributes = [{"key": "peer.service", "value": {"stringValue": callee}}]
        call = _span(at, kind=3, parentSpanId=root["spanId"], attributes=attributes) | {"spanId": f"{at + 1000:016x}"}
        lines.append(_otlp([root, call], service))
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    tk.convert(tmp_path / "a.jsonl", tmp_path / "a.parquet", spans_at_once=30)
    pages = [
        tk.report(one, tmp_path / "r.html").read_text()
        for one in (tk.open(tmp_path / "a.parquet"), tk.read(tmp_path / "a.jsonl"))
    ]
    for page in pages:
        assert name in page
        assert person not in page
        assert "jane.doe" not in page


def test_a_policy_for_messages_holds_for_a_store(tmp_path):
    lines = [_otlp([_failing(at, f"customer {at} of Nile refused")]) for at in range(20)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    tk.convert(tmp_path / "a.jsonl", tmp_path / "a.parquet", spans_at_once=10)
    policy = tk.Policy(keys={"exception.message": "mask"})
    sides = sides_of(tk.open(tmp_path / "a.parquet"))
    found = Standard.between(sides, outgoing=Outgoing.of(policy)).seen.errors.exceptions
    assert found["exception_message"].tolist() == ["[chosen key]"]


def test_a_report_of_a_store_can_be_verified(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 3)
    page = tk.report(store, tmp_path / "r.html")
    assert tk.verify(page, store).is_verified
    assert not tk.verify(page, store.only([0, 1])).is_verified
    stated, _ = ledger_in(page.read_text(), "r.html")
    assert stated["sets"]["traces"]["trace_count"] == len(traces)
    unchanged = tk.report(traces, tmp_path / "m.html", redact=None)
    known, _ = ledger_in(unchanged.read_text(), "m.html")
    assert known["sets"]["traces"] == stated["sets"]["traces"]


def test_a_period_of_a_store(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 3)
    start = pd.Timestamp(int(traces.summary["start_ns"].median()), tz="UTC")
    found = Standard.between(sides_of(store, period=(start, None)))
    assert found.seen.trace_count == len(traces.between(start))
    with pytest.raises(ValueError, match="period: expected a window within 2026-11-21"):
        tk.report(store, tmp_path / "r.html", period=("2030-01-01", "2030-01-02"))
    begun = np.sort(traces.summary["start_ns"].to_numpy(np.int64))
    at = int(np.diff(begun).argmax())
    with pytest.raises(
        ValueError, match=r"period: expected traces from \d+ to \d+ of the recording, found none; it has"
    ):
        tk.report(store, tmp_path / "r.html", period=(int(begun[at]) + 1, int(begun[at + 1])))


def test_what_a_store_does_not_have_is_refused(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 2)
    with pytest.raises(RenderError, match="expected traces in memory to embed, found a store"):
        tk.report(traces, tmp_path / "r.html", baseline=store, embed=True)
    with pytest.raises(TypeError, match=r"expected a TraceSet for tk\.report, found list"):
        tk.report(store, tmp_path / "r.html", baseline=[traces])
    with pytest.raises(TypeError, match="expected traces in memory, found a store"):
        Case(store).traces  # noqa: B018 - it raises


def test_a_sample_of_a_store_says_so(traces, tmp_path):
    store = split(traces, tmp_path / "a.parquet", 4).sample(2)
    (said,) = [one for one in Standard.between(sides_of(store)).findings if one.check == "sample_of_store"]
    (loaded,) = [one for one in Standard.between(sides_of(store.load())).findings if one.check == "sample_of_store"]
    assert said.headline == loaded.headline


def test_the_command(traces, tmp_path, monkeypatch):
    split(traces, tmp_path / "a.parquet", 2)
    run, page = CliRunner(), tmp_path / "r.html"
    found = run.invoke(app, ["report", str(tmp_path / "a.parquet"), "--by-parts", "-o", str(page)])
    assert found.exit_code == 0, found.output
    assert "tk.open(" in page.read_text()
    assert json.loads(re.search(r'id="tracekit-claims"[^>]*>(.*?)</script>', page.read_text())[1])["claims"]
    logs = run.invoke(app, ["report", str(tmp_path / "a.parquet"), "--by-parts", "--logs", "x", "-o", str(page)])
    assert logs.exit_code == 2
    both = run.invoke(app, ["report", "a", "b", "--by-parts", "-o", str(page)])
    assert both.exit_code == 2
    monkeypatch.setattr("tracekit.loading.store.read_write.free_bytes", lambda: 1000)
    large = run.invoke(app, ["report", str(tmp_path / "a.parquet"), "-o", str(page)])
    assert large.exit_code == 0, large.output
    assert "it is read part by part" in large.output


def test_the_parts_of_a_report_can_be_read_on_a_cluster(traces, tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs dask and distributed")
    store = split(traces, tmp_path / "a.parquet", 2)
    here = Standard.between(sides_of(store)).findings
    with (
        distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as there,
        distributed.Client(there) as client,
    ):
        found = Standard.between(sides_of(tk.open(tmp_path / "a.parquet", on=client))).findings
        page = tmp_path / "r.html"
        options = ["--dask", there.scheduler_address, "-o", str(page)]
        ran = CliRunner().invoke(app, ["report", str(tmp_path / "a.parquet"), *options])
    assert [one.headline for one in found] == [one.headline for one in here]
    assert ran.exit_code == 0, ran.output
    assert "tk.open(" in page.read_text()
