"""``tracekit path``: the numbers of the notebook, in a terminal."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tracekit as tk
from tests.loading.store.split_stores import split
from tracekit.cli import app
from tracekit.loading.store import read_write
from tracekit.text import duration, ratio, with_interval

run = CliRunner()
RECORDING = Path(__file__).parents[1] / "datasets" / "checkout-regression"
BEFORE, DURING = (str(RECORDING / f"{name}.jsonl.zst") for name in ("baseline", "during"))
SPAN = '{"traceId":"%032x","spanId":"%016x","parentSpanId":"%s","name":"%s",'
SPAN += '"startTimeUnixNano":"%d","endTimeUnixNano":"%d"}'
REQUEST = '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"%s"}}]},'
REQUEST += '"scopeSpans":[{"spans":[%s]}]}]}\n'


def asked(*words):
    ran = run.invoke(app, ["path", *words], env={"COLUMNS": "200"})
    return ran, [line.split() for line in ran.stdout.splitlines() if line.strip()]


def row(lines, *words):
    (found,) = [line for line in lines if line[: len(words)] == list(words)]
    return " ".join(found)


@pytest.fixture
def orphaned(tmp_path):
    """Two requests; a span of the second names a parent that nobody sent; a name that would move the cursor."""
    spans = [SPAN % (1, 1, "", "GET /\\u001b[2J", 1000, 9000), SPAN % (2, 2, "", "GET /", 1000, 5000)]
    spans.append(SPAN % (2, 3, "00000000000000ff", "late", 2000, 3000))
    path = tmp_path / "orphaned.jsonl"
    path.write_text(REQUEST % ("shop", ",".join(spans)))
    return str(path)


def test_critical_path_time_by_service():
    ran, lines = asked(DURING)
    assert ran.exit_code == 0, ran.output
    found = tk.critical_path(tk.load_sample("checkout-regression")[1])
    assert ran.stdout.startswith(repr(found))
    top = found.by("service_name").iloc[0]
    mean = with_interval(*top[["mean_ns", "mean_low_ns", "mean_high_ns"]], duration)
    assert row(lines, "ledger").startswith(f"ledger {mean} {ratio(top['share_ratio'])}")
    assert row(lines, "ledger").endswith(f"{ratio(top['presence_ratio'])} 463 {top['largest_trace_id'][:12]}")
    (issue,) = found.issues.itertuples()
    assert f"\n457 {issue.message}" in ran.stdout


def test_keys_and_rows():
    ran, lines = asked(DURING, "--by", "service_name", "--by", "operation", "--top", "2")
    assert "Critical-path time per request, top 2 of 47" in ran.stdout
    assert row(lines, "ledger", "SELECT", "entries").startswith("ledger SELECT entries 18.3 ms")
    assert len(lines) == 8


@pytest.mark.parametrize("band", ["95-99", "p95-p99"])
def test_a_band_is_compared_with_the_median(band):
    ran, lines = asked(DURING, "--band", band)
    assert "Critical-path time, p95-p99 (40 requests)" in ran.stdout
    table = tk.critical_path(tk.load_sample("checkout-regression")[1]).bands("service_name").table
    excess = table[(table["band"] == "p95 to p99") & (table["service_name"] == "ledger")]["excess_ns"].item()
    assert f" 1.27 ms +{duration(excess)} (+" in row(lines, "ledger")


def test_a_widened_band_is_reported():
    assert "Critical-path time, p99-p100 (20 requests, widened to p98-p100)" in asked(DURING, "--band", "99")[0].stdout


def test_what_has_changed_since_a_baseline():
    ran, lines = asked(DURING, "--baseline", BEFORE, "--by", "service_name", "--by", "operation", "--top", "3")
    assert "Mean latency 39.3 → 57.1 ms (+17.8 ms, 95% CI +12.6 to +22.9 ms), top 3 of 47" in ran.stdout
    expected = "ledger SELECT entries 713 µs +17.5 ms (+13.7 to +21.4 ms) 0 ns +10.6 ms +6.94 ms yes"
    assert row(lines, "ledger", "SELECT") == expected
    assert row(lines, "storefront").endswith("no")
    slow, _ = asked(DURING, "--baseline", BEFORE, "--band", "95-99")
    assert "Mean latency of p95-p99 (40 → 40 requests) 96.2 → 251 ms" in slow.stdout
    rare, _ = asked(DURING, "--baseline", BEFORE, "--band", "99")
    assert "Mean latency of p98-p100 (20 → 20 requests)" in rare.stdout


def test_scopes_and_partial_traces(orphaned):
    assert "ORPHAN" not in asked(DURING, "--scope", "roots")[0].stdout
    with_all, _ = asked(orphaned)
    assert "1 partial" in with_all.stdout
    assert "\n1 orphan spans; a (missing) node replaces the parent" in with_all.stdout
    _, lines = asked(orphaned, "--no-include-partial")
    assert row(lines, "shop").startswith(f"shop 8.00 µs {ratio(1)}")
    authorised, lines = asked(DURING, "--scope", "name == 'POST /v1/authorizations' and kind == 'SERVER'")
    assert "CriticalPath(463 requests" in authorised.stdout
    assert row(lines, "ledger").split()[-3] == "463" or ratio(1) in row(lines, "ledger")


def test_names_cannot_move_the_cursor(orphaned):
    ran, _ = asked(orphaned, "--by", "operation")
    assert "\x1b" not in ran.stdout
    assert "GET /\ufffd[2J" in ran.stdout


def test_nothing_matches():
    ran, _ = asked(DURING, "--scope", "name == 'nobody'")
    assert ran.exit_code == 0
    assert "no requests: see tracekit check, or try another --scope" in ran.stdout


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["--by", "tenat"], 2, "found 'tenat'"),
        (["--band", "100"], 2, "invalid percentile range '100'; use for example 99 or 95-99"),
        (["--band", "x"], 2, "invalid percentile range 'x'; use for example 99 or 95-99"),
        (["--scope", "nope"], 2, "columns of spans as scope, found 'nope'"),
        (["--format", "pcap"], 2, "pcap"),
        (["--baseline", "nowhere.jsonl"], 2, "nowhere.jsonl"),
    ],
)
def test_invalid_arguments_are_reported_as_text(words, code, message):
    ran, _ = asked(DURING, *words)
    assert ran.exit_code == code
    assert message in " ".join(ran.stderr.replace("│", " ").split())
    assert "Traceback" not in ran.output


def test_profile_shows_functions_and_unmatched_samples(tmp_path):
    spans = tk.critical_path(tk.read(DURING)).spans
    longest = spans["span_id"][spans["path_time_ns"].idxmax()]
    (tmp_path / "cpu.txt").write_text(f"span_id={longest};main;query 3\nmain;idle 1\n")
    ran, lines = asked(DURING, "--profile", str(tmp_path / "cpu.txt"))
    assert ran.exit_code == 0
    assert row(lines, "query")
    assert row(lines, "without", "a", "span", "id").endswith(" 1")
    assert asked(DURING, "--profile", str(tmp_path / "cpu.txt"), "--band", "99")[0].exit_code == 2


def test_a_store_is_opened_for_a_profile_and_if_it_is_larger_than_memory(tmp_path, monkeypatch):
    store, stacks = str(tk.convert(DURING, tmp_path / "a.parquet", spans_at_once=5_000)), str(tmp_path / "cpu.txt")
    spans = tk.critical_path(tk.read(DURING)).spans
    Path(stacks).write_text(f"span_id={spans['span_id'][spans['path_time_ns'].idxmax()]};main;query 3\nmain;idle 1\n")
    expected = [asked(DURING, *words)[1] for words in (("--profile", stacks), ("--band", "99"))]
    monkeypatch.setattr(read_write, "free_bytes", lambda: 1_000_000)
    ran, lines = asked(store, "--profile", stacks)
    assert (ran.exit_code, ran.stderr) == (0, "")
    assert row(lines, "query") == row(expected[0], "query")
    assert expected[0][:2] == lines[:2]
    ran, lines = asked(store, "--band", "99")
    assert row(lines, "ledger") == row(expected[1], "ledger")
    assert "a.parquet is larger than the free memory: it is read part by part" in ran.stderr
    assert "a.parquet is larger than the free memory" in asked(store, "--baseline", BEFORE)[0].stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--by", "operation", "--top", "2"),
        ("--band", "95-99"),
        ("--baseline", "BEFORE", "--by", "service_name", "--by", "operation"),
        ("--baseline", "BEFORE", "--band", "99", "--json"),
        ("--json",),
        ("--band", "99", "--json", "--scope", "roots"),
        ("--scope", "name == 'nobody'"),
        ("--scope", "name == 'nobody'", "--json"),
        ("--no-include-partial", "--json", "--by", "app.customer.tier"),
        ("--by", "tenat"),
    ],
)
def test_a_store_gives_what_its_traces_give_in_memory(words, stores):
    """Stores of both sides, and a baseline of the other kind."""
    said = [stores.get(word, word) for word in words]
    expected, _ = asked(stores["DURING"], *said)
    for given in (said, [stores["FILE"] if word == "BEFORE" else word for word in words]):
        ran, _ = asked(stores["DURING"], "--by-parts", *given)
        assert (ran.exit_code, ran.stderr) == (expected.exit_code, expected.stderr)
        if "--json" in words:
            agree(json.loads(ran.stdout), json.loads(expected.stdout))
        else:
            assert ran.stdout == expected.stdout


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """Two stores of some requests in several parts, and the first one as a file."""
    folder = tmp_path_factory.mktemp("stores")
    names = {"BEFORE": "a.parquet", "DURING": "b.parquet"}
    for name, traces in zip(names.values(), tk.load_sample("checkout-regression"), strict=True):
        split(traces.head(150), folder / name, 5)
    tk.open(folder / "a.parquet").load().to_otlp(folder / "a.otlp.jsonl", redact=None)
    return {name: str(folder / path) for name, path in {**names, "FILE": "a.otlp.jsonl"}.items()}


def agree(found, expected):
    """JSON documents that are equal, numbers to 1e-9."""
    if isinstance(expected, dict):
        assert list(found) == list(expected)
        for name, value in expected.items():
            agree(found[name], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for one, other in zip(found, expected, strict=True):
            agree(one, other)
    else:
        assert found == (pytest.approx(expected, rel=1e-9) if isinstance(expected, float) else expected)


def test_json_has_all_rows(stores):
    document = json.loads(asked(stores["DURING"], "--json", "--by", "operation", "--top", "2")[0].stdout)
    whole = tk.critical_path(tk.read(stores["DURING"]))
    table = whole.by("operation")
    assert [row["mean_ns"] for row in document["table"]] == pytest.approx(table["mean_ns"].tolist())
    assert document["counts"]["request_count"] == len(whole.latency_ns)
    assert document["counts"]["mean_latency_ns"] == pytest.approx(whole.latency_ns.mean())
    assert [row["code"] for row in document["issues"]] == whole.issues["code"].tolist()


def test_by_parts_needs_one_store(stores):
    for words in ((stores["DURING"], stores["BEFORE"]), (stores["DURING"], "--format", "otlp")):
        ran, _ = asked(*words, "--by-parts")
        assert ran.exit_code == 2
        assert "expected one store, found" in ran.stderr


def test_a_store_is_read_on_a_cluster(tmp_path):
    distributed = pytest.importorskip("distributed", reason="needs dask and distributed")
    store = str(tk.convert(DURING, tmp_path / "a.parquet", spans_at_once=5_000))
    with distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        for more in ((), ("--band", "99"), ("--baseline", BEFORE)):
            ran, lines = asked(store, "--dask", cluster.scheduler_address, "--by", "service_name", *more)
            _, expected = asked(DURING, "--by", "service_name", *more)
            assert ran.exit_code == 0, ran.output
            assert row(lines, "payments") == row(expected, "payments")
        words = ["privacy", "--json", "--dask", cluster.scheduler_address]
        assert run.invoke(app, [*words, store]).stdout == run.invoke(app, ["privacy", "--json", DURING]).stdout
        assert "expected one store, found 2 files" in run.invoke(app, [*words, store, BEFORE]).stderr
    for more, message in (
        (("--format", "otlp"), "expected one store, found options of other formats"),
        ((BEFORE,), "expected one store, found 2 files"),
    ):
        ran, _ = asked(store, "--dask", "tcp://127.0.0.1:1", *more)
        assert ran.exit_code == 2
        assert message in " ".join(ran.output.split())
