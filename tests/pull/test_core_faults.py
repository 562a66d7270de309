"""Seeded schedules of faults: every id is accounted for or the pull stops clearly, and a resumed pull is complete."""

import random
import zlib

import pytest
from fake_backends import Trace

import tracekit as tk
from tracekit.pull.calls import NoAnswerError

FAULTS = [429, 500, 502, 503, 504, "reset", "cut", "broken", "html"]
KINDS = [
    ("jaeger", {}),
    ("jaeger", {"without_v3": True}),
    ("tempo", {}),
    ("zipkin", {}),
    ("clickhouse", {}),
    ("elasticsearch", {"page": 5}),
]
NAMES = ["jaeger-v3", "jaeger-v1", "tempo", "zipkin", "clickhouse", "elasticsearch"]
PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z"}


def check(serve, folder, kind, traits, seed):
    chance = random.Random(zlib.crc32(f"{kind}{traits}{seed}".encode()))
    share = chance.choice([0.05, 0.2, 0.5, 0.8])
    faults = [chance.choice(FAULTS) if chance.random() < share else None for _ in range(150)]
    server = serve(kind, [Trace(n, partial=chance.random() < 0.1) for n in range(24)], faults=faults, **traits)
    how = {
        "folder": folder,
        **({} if kind == "elasticsearch" else {"limit": 5}),
        "attempts": 3,
        "rounds": 2,
        "backoff_s": 0.0,
        "concurrency": chance.randint(1, 4),
    }
    stops = 0
    while True:
        try:
            pull = tk.pull(kind, server.url, **how, **PERIOD)
        except tk.PullError as error:
            stops += 1
            assert isinstance(error, NoAnswerError) or "consecutive requests failed" in str(error), error  # noqa: PT017 - one of many
            assert "rerun with the same folder to resume" in str(error)  # noqa: PT017 - likewise
            assert stops < 100
            continue
        assert sum(pull.counts.values()) == 24
        if set(pull.counts) <= {"returned", "partial"}:
            break
        assert pull.accounts.loc[pull.accounts["outcome"] == "failed", "reason"].str.contains("attempts").all()
    partial = {trace.id for trace in server.traces.values() if trace.partial} if kind == "tempo" else set()
    assert set(pull.accounts.index[pull.accounts["outcome"] == "partial"]) == partial
    traces = tk.read(folder, workers=1)
    assert sorted(traces.trace_ids) == sorted(server.traces)
    assert len(traces.spans) == 48
    assert int(traces.sources["quarantined_count"].sum()) == 0
    assert set(pull.ledger["truncation"]) == {"excluded"}


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("kind", "traits"), KINDS, ids=NAMES)
def test_every_id_is_accounted_for(serve, tmp_path, kind, traits, seed):
    check(serve, tmp_path / "pulled", kind, traits, seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4, 204))
@pytest.mark.parametrize(("kind", "traits"), KINDS, ids=NAMES)
def test_every_id_is_accounted_for_in_many_schedules(serve, tmp_path, kind, traits, seed):
    check(serve, tmp_path / "pulled", kind, traits, seed)
