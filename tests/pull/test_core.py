"""What every backend has in common: limits, windows, resuming, the ledger, and errors that say what to do."""

import itertools
import json
import re

import pytest
from fake_backends import BEGUN_NS, Trace

import tracekit as tk
from tracekit.pull import core, progress, result
from tracekit.pull.windows import rfc3339

BACKENDS = [("jaeger", {}), ("jaeger", {"without_v3": True}), ("tempo", {}), ("zipkin", {})]
NAMES = ["jaeger-v3", "jaeger-v1", "tempo", "zipkin"]
every_backend = pytest.mark.parametrize(("kind", "traits"), BACKENDS, ids=NAMES)
PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T09:00:00Z"}


def pulled(server, folder, **how):
    return tk.pull(server.kind, server.url, folder=folder, **{"backoff_s": 0.0, "attempts": 4, **how})


def ids_of(traces):
    return sorted(traces.trace_ids)


@every_backend
def test_all_traces_arrive_although_every_answer_is_limited(serve, tmp_path, kind, traits):
    server = serve(kind, [Trace(n) for n in range(60)], **traits)
    pull = pulled(server, tmp_path / "a", limit=7, **PERIOD)
    assert pull.counts == {"returned": 60}
    assert ids_of(pull.traces) == sorted(server.traces)
    assert len(pull.traces.spans) == 120
    assert set(pull.ledger["truncation"]) == {"excluded"}
    assert pull.notes == ()
    assert pull.ledger["cap"].unique().tolist() == [7]
    edges = pull.ledger.sort_values("start")[["start", "end"]].to_numpy().tolist()
    assert all(before[1] == after[0] for before, after in itertools.pairwise(edges)), "no gap between windows"
    assert edges[0][0] == "2025-10-09T08:53:00.000000000Z"
    assert edges[-1][1] == "2025-10-09T09:00:00.000000000Z"


@every_backend
def test_a_resumed_pull_asks_for_nothing_twice(serve, tmp_path, kind, traits):
    server = serve(kind, [Trace(n) for n in range(30)], **traits)
    first = pulled(server, tmp_path / "a", **PERIOD)
    before = len(server.requests)
    again = pulled(server, tmp_path / "a", **PERIOD)
    assert again.counts == first.counts == {"returned": 30}
    new = [path for path, _ in server.requests[before:]]
    assert all(path in {"/info", "/api/status/buildinfo", "/api/services", "/api/v3/services"} for path in new)
    assert len(again.ledger) == len(first.ledger)
    assert ids_of(again.traces) == sorted(server.traces)


@every_backend
def test_traces_by_id(serve, tmp_path, kind, traits):
    server = serve(kind, [Trace(n) for n in range(30)], **traits)
    ids = [*list(server.traces)[:25], "f" * 32]
    pull = pulled(server, tmp_path / "a", trace_ids=" ".join(ids))
    assert pull.counts == {"returned": 25, "not_found": 1}
    assert ids_of(pull.traces) == sorted(ids[:25])
    assert pull.accounts.loc["f" * 32, "outcome"] == "not_found"


@every_backend
def test_a_full_window_that_cannot_be_halved_is_asked_with_the_largest_limit(serve, tmp_path, kind, traits):
    server = serve(kind, [Trace(n, BEGUN_NS + 500) for n in range(40)], **traits)
    pull = pulled(server, tmp_path / "a", limit=7, **PERIOD)
    assert pull.counts == {"returned": 40}
    assert set(pull.ledger["truncation"]) == {"excluded"}


@every_backend
def test_a_server_that_lowers_limits_silently_is_not_believed(serve, tmp_path, kind, traits):
    server = serve(kind, [Trace(n, BEGUN_NS + 500) for n in range(40)], silent_limit=7, **traits)
    pull = pulled(server, tmp_path / "a", limit=7, **PERIOD)
    assert sum(pull.counts.values()) < 40
    cut = pull.ledger[pull.ledger["truncation"] == "unknown"]
    assert len(cut) >= 1
    assert re.match(r"\d+ windows? of", pull.notes[0])
    assert "traces may be missing" in pull.notes[0]


def test_truncation_is_proven_where_a_larger_limit_brings_more_and_is_reached(serve, tmp_path, monkeypatch):
    from tracekit.pull import zipkin  # noqa: PLC0415 - to lower its largest limit

    monkeypatch.setattr(zipkin, "_LARGEST_LIMIT", 20)
    server = serve("zipkin", [Trace(n, BEGUN_NS + 500) for n in range(40)])
    pull = pulled(server, tmp_path / "a", limit=7, **PERIOD)
    assert sorted(pull.ledger["truncation"].unique()) == ["excluded", "proven"]
    assert pull.counts == {"returned": 20}


def test_the_ledger_travels_with_the_traces(serve, tmp_path):
    server = serve("tempo", [Trace(n, partial=n == 3) for n in range(9)])
    pull = pulled(server, tmp_path / "a", **PERIOD)
    traces = pull.traces
    parts = [part for text in traces.sources["pull"] for part in json.loads(text or "[]")]
    windows = [part for part in parts if "query" in part]
    assert sum(part["trace_count"] for part in windows) == 9
    assert {part["server"] for part in windows} == {server.url}
    assert {part["version"] for part in windows} == {"2.8.1"}
    assert {part["selection"] for part in windows} == {"first_found"}
    assert all(part["query"].startswith("GET /api/search?q=") for part in windows)
    assert parts[-1] == {
        "pull": windows[0]["pull"],
        "requested_count": 9,
        "missing_count": 0,
        "open_count": 0,
        "partial": [f"{4:032x}"],
    }
    assert pull.counts == {"returned": 8, "partial": 1}
    assert traces.sources["quarantined_count"].sum() == 0
    traces.save(tmp_path / "store.parquet")
    assert tk.read(tmp_path / "store.parquet").sources["pull"].tolist() == traces.sources["pull"].tolist()


@every_backend
def test_a_server_that_ignores_the_window_stops_the_pull(serve, tmp_path, kind, traits):
    server = serve(kind, [Trace(n) for n in range(60)], ignores_window=True, **traits)
    with pytest.raises(tk.PullError, match=r"expected traces from 2025.*outside of it; .* does not apply the window"):
        pulled(server, tmp_path / "a", limit=7, **PERIOD)
    assert len(server.requests) < 200


def test_traces_of_another_window_are_kept_and_counted(serve, tmp_path):
    server = serve("zipkin", [Trace(n) for n in range(3)], ignores_window=True)
    pull = pulled(server, tmp_path / "a", start="2025-10-09T10:00", end="2025-10-09T10:01")
    assert pull.counts == {"returned": 3}
    assert pull.ledger["outside_count"].sum() == 3
    assert pull.notes[0].startswith("3 traces outside the window asked for: kept; check the clocks")


def test_a_clock_an_hour_off_is_reported(serve, tmp_path):
    server = serve("jaeger", [Trace(1)], clock_offset_s=3600)
    pull = pulled(server, tmp_path / "a", **PERIOD)
    assert re.search(r"the clock of http://127\S+ differs by \+3,(599|600) s from this one", pull.notes[0])
    assert pull.ledger["clock_offset_s"].between(3598, 3601).all()


def test_no_traces_is_said(serve, tmp_path):
    server = serve("jaeger", [Trace(1)])
    pull = pulled(server, tmp_path / "a", service="web", start="2024-01-01", end="2024-01-02")
    assert repr(pull).endswith("0 traces: none found)")
    assert "returned no traces from 2024-01-01T00:00:00" in pull.notes[0]
    assert len(pull.traces) == 0


@every_backend
def test_a_large_pull_needs_confirmation_and_keeps_what_came(serve, tmp_path, monkeypatch, kind, traits):
    monkeypatch.setattr(core, "LARGE", 20)
    monkeypatch.setattr(result, "LARGE", 20)
    server = serve(kind, [Trace(n * 5) for n in range(60)], **traits)
    with pytest.raises(tk.PullError, match=r"expected confirmation of .*60 traces|confirmation of about \d+ traces"):
        pulled(server, tmp_path / "a", concurrency=1, **PERIOD)
    before = len(server.requests)
    assert pulled(server, tmp_path / "a", yes=True).counts == {"returned": 60}
    again = [request for request in server.requests[before:] if request in server.requests[:before]]
    assert len(again) <= 6, "the version or services, and what was under way when the pull stopped"


def test_other_options_in_the_folder_are_refused(serve, tmp_path):
    server = serve("tempo", [Trace(1)])
    pulled(server, tmp_path / "a", service="web", **PERIOD)
    with pytest.raises(tk.PullError, match=r"with service 'web', found 'ledger'; choose another folder"):
        pulled(server, tmp_path / "a", service="ledger", **PERIOD)


def test_two_pulls_in_one_folder_are_refused(serve, tmp_path):
    from tracekit.pull.folder import PullFolder  # noqa: PLC0415 - the other pull

    server = serve("tempo", [Trace(1)])
    with (
        PullFolder(tmp_path / "a"),
        pytest.raises(tk.PullError, match="found another pull running in it; wait until it ends"),
    ):
        pulled(server, tmp_path / "a", **PERIOD)


def test_ctrl_c_keeps_what_came_and_the_next_run_resumes(serve, tmp_path):
    server = serve("tempo", [Trace(n) for n in range(100)])

    def interrupt(seen):
        if seen.done_count >= 10:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(progress, "_EVERY_S", 0.0)
        with pytest.raises(KeyboardInterrupt):
            pulled(server, tmp_path / "a", on_progress=interrupt, concurrency=1, **PERIOD)
    came = tk.read(tmp_path / "a")
    assert 10 <= len(came) <= 48, "two batches of 16 are under way at most, beside the one that came"
    before = server.calls.total()
    assert pulled(server, tmp_path / "a").counts == {"returned": 100}
    assert server.calls.total() - before <= 100 - len(came) + 5
    assert ids_of(tk.read(tmp_path / "a")) == sorted(server.traces)


def test_same_time_arguments_as_everywhere(serve, tmp_path):
    server = serve("zipkin", [Trace(1)])
    pull = pulled(server, tmp_path / "a", start="6h")
    (start, *_), end = sorted(pull.ledger["start"]), max(pull.ledger["end"])
    assert (tk_seconds(end) - tk_seconds(start)) == pytest.approx(6 * 3600, abs=1)


def tk_seconds(text):
    import pandas as pd  # noqa: PLC0415 - of the test only

    return pd.Timestamp(text).timestamp()


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({}, "no trace IDs and no period: pass --ids, --trace-id or --start"),
        ({"start": "tomorrow"}, "invalid time 'tomorrow': use a UTC time"),
        ({"start": "2025-01-02", "end": "2025-01-01"}, "expected an end after the start"),
        ({"trace_ids": ["a"], "service": "web"}, "expected trace_ids or a search"),
        ({"trace_ids": ["xyz"]}, "up to 32 hex digits, found 'xyz' at position 1"),
        ({"start": "1h", "limit": 0}, "limit of 1 or more"),
    ],
)
def test_wrong_arguments(tmp_path, how, message):
    with pytest.raises(ValueError, match=message):
        tk.pull("tempo", "http://localhost:1", folder=tmp_path / "a", **how)
    assert not (tmp_path / "a").exists()


def test_unknown_backends(tmp_path):
    with pytest.raises(
        ValueError, match=r"a backend among jaeger, tempo, zipkin, clickhouse, elasticsearch, s3, found 'honeycomb'"
    ):
        tk.pull("honeycomb", "http://localhost", folder=tmp_path, start="1h")
    with pytest.raises(ValueError, match=r"found 'xray'; call tk.pull_xray"):
        tk.pull("xray", "http://localhost", folder=tmp_path, start="1h")

    with pytest.raises(
        TypeError,
        match="expected the name of a backend among jaeger, tempo, zipkin, clickhouse, elasticsearch, s3, found int",
    ):
        tk.pull(5, "http://localhost", folder=tmp_path, start="1h")


def test_times_in_the_ledger():
    assert rfc3339(BEGUN_NS + 1) == "2025-10-09T08:53:20.000000001Z"
