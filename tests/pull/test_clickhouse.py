"""ClickHouse: statements, parameters, tables, answers cut in half; and its own engine where chdb is installed."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from fake_backends import EXPORTER, Trace

import tracekit as tk

PERIOD = {"start": "2025-10-09T08:53:00Z", "end": "2025-10-09T08:55:00Z", "backoff_s": 0.0}


def statements(server, word):
    return [query for _, query in server.requests if word in query["query"]]


def test_conditions_are_parameters(serve, tmp_path):
    server = serve("clickhouse", [Trace(1)])
    conditions = {"service": "web'\\", "operation": "a\tb", "min_duration": "1.5ms", "max_duration": "2s"}
    tk.pull("clickhouse", server.url, folder=tmp_path / "a", query="StatusCode = 'Error' OR 1", **conditions, **PERIOD)
    windows = statements(server, "GROUP BY")  # asked at the same time, so that either may arrive first
    asked = min(windows, key=lambda query: int(query["param_start"]))
    sent = [asked[f"param_{name}"] for name in ("service", "name", "shortest", "longest")]
    assert sent == ["web'\\\\", "a\\tb", "1500000", "2000000000"]
    assert "web" not in asked["query"]
    assert "(StatusCode = 'Error' OR 1)" in asked["query"]
    assert int(asked["param_start"]) == 1_760_000_000 * 10**9 - 20 * 10**9
    assert len(windows) == 2  # windows of at least a minute


def test_spans_are_read_whole_traces_an_hour_around(serve, tmp_path):
    server = serve("clickhouse", [Trace(1), Trace(2)])
    pull = tk.pull("clickhouse", server.url, folder=tmp_path / "a", **PERIOD)
    [asked] = statements(server, "ArrowStream")
    assert int(asked["param_start"]) == Trace(1).start_ns - 3600 * 10**9
    assert int(asked["param_end"]) == Trace(2).start_ns + 3600 * 10**9
    assert pull.counts == {"returned": 2}
    assert pull.ledger["version"].unique().tolist() == ["26.9"]
    assert pull.traces.spans["service_name"].tolist() == ["web", "ledger"] * 2
    by_id = tk.pull("clickhouse", server.url, folder=tmp_path / "b", trace_ids=[Trace(2).id, "9"])
    assert by_id.counts == {"returned": 1, "not_found": 1}
    assert "param_start" not in statements(server, "ArrowStream")[-1]


def test_columns_of_json_are_selected_as_text_and_derived_ones_not(serve, tmp_path):
    columns = [["SpanAttributes", "JSON(max_dynamic_paths=1)"], ["a`b", "String"]]
    columns += [pair for pair in EXPORTER.items() if pair[0] != "SpanAttributes"]
    server = serve("clickhouse", [Trace(1)], columns=columns)
    tk.pull("clickhouse", server.url, folder=tmp_path / "a", **PERIOD)
    [asked] = statements(server, "ArrowStream")
    assert asked["query"].startswith("SELECT toJSONString(`SpanAttributes`) AS `SpanAttributes`, `a\\`b`, `Timestamp`")
    assert "'MATERIALIZED'" in statements(server, "system.columns")[0]["query"]


@pytest.mark.parametrize(
    ("traits", "message"),
    [
        ({"tables": []}, "expected a table otel_traces .* or signoz_index_v3 .* found none that this user can see"),
        (
            {"tables": [["26.9", "b", "otel_traces", 0], ["26.9", "a", "otel_traces", 0]]},
            "expected one table otel_traces .* found it in a, b; choose one by the header X-ClickHouse-Database",
        ),
        ({"columns": [["TraceId", "String"]]}, "expected the columns SpanName, Timestamp in .*, found TraceId"),
    ],
)
def test_a_table_that_is_not_there_stops_the_pull(serve, tmp_path, traits, message):
    server = serve("clickhouse", [Trace(1)], **traits)
    with pytest.raises(tk.PullError, match=message):
        tk.pull("clickhouse", server.url, folder=tmp_path / "a", **PERIOD)


def test_the_current_database_comes_first(serve, tmp_path):
    tables = [["26.9", "b", "otel_traces", 1], ["26.9", "a", "otel_traces", 0]]
    server = serve("clickhouse", [Trace(1)], tables=tables)
    tk.pull("clickhouse", server.url, folder=tmp_path / "a", **PERIOD)
    assert "FROM `b`.`otel_traces`" in statements(server, "GROUP BY")[0]["query"]


def test_a_user_without_settings_is_told(serve, tmp_path, monkeypatch):
    server = serve("clickhouse", [Trace(1)])
    text = b"Code: 164. DB::Exception: Cannot modify 'wait_end_of_query' setting in readonly mode. (READONLY)"
    monkeypatch.setattr(server.RequestHandlerClass, "clickhouse", lambda *_: (400, text))
    with pytest.raises(tk.PullError, match=r"expected a user .* that may set wait_end_of_query, .*readonly = 2"):
        tk.pull("clickhouse", server.url, folder=tmp_path / "a", **PERIOD)


def test_an_answer_that_ends_between_two_batches_is_asked_again(serve, tmp_path):
    server = serve("clickhouse", [Trace(1)], faults=[*[None] * 4, "no end", "no end"])
    pull = tk.pull("clickhouse", server.url, folder=tmp_path / "a", concurrency=1, **PERIOD)
    assert pull.counts == {"returned": 1}
    assert pull.calls["retries"] == 2


@pytest.fixture(params=["otel", "signoz_traces"])
def engine(request):
    """ClickHouse's own engine, in a process of its own."""
    if importlib.util.find_spec("chdb") is None:
        pytest.skip("chdb is not installed (350 MB): pip install chdb")
    program = [sys.executable, str(Path(__file__).with_name("clickhouse_server.py")), request.param]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        yield request.param, f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.terminate()


def test_the_engine_of_clickhouse_answers(engine, tmp_path):
    name, url = engine
    pull = tk.pull("clickhouse", url, folder=tmp_path / "a", **PERIOD)
    assert pull.counts == {"returned": 2}
    spans = pull.traces.spans
    assert spans["service_name"].tolist() == ["web", "ledger"] * 2
    assert spans["start_ns"].tolist()[:2] == [1_760_000_001_000_000_000, 1_760_000_001_001_000_003]
    assert spans["duration_ns"].tolist()[:2] == [5_000_001, 2_000_000]
    assert spans["depth"].tolist() == [0, 1, 0, 1]
    if name == "otel":
        assert pull.traces.events["name"].tolist() == ["exception"] * 4
    conditions = {"operation": "it's \\ ledger"} if name == "otel" else {"service": "ledger"}
    found = tk.pull(
        "clickhouse", url, folder=tmp_path / "b", min_duration="1ms", max_duration="2ms", **conditions, **PERIOD
    )
    assert found.counts == {"returned": 2}
    none = tk.pull("clickhouse", url, folder=tmp_path / "c", service="it's", **PERIOD)
    assert len(none.accounts) == 0
    assert tk.pull("clickhouse", url, folder=tmp_path / "d", trace_ids=["1", "7"]).counts == {
        "returned": 1,
        "not_found": 1,
    }


def test_a_wrong_condition_is_the_servers_error(engine, tmp_path):
    with pytest.raises(tk.PullError, match="nothing_of_this_name"):
        tk.pull("clickhouse", engine[1], folder=tmp_path / "a", query="nothing_of_this_name = 1", **PERIOD)
