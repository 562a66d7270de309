"""The command line: what each command prints, writes and answers, and how it fails."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import tracekit as tk
from tracekit import cli, cli_check
from tracekit.cli import app
from tracekit.cli_reading import imported_beside
from tracekit.cli_tables import findings_table, issues_table, show, sources_table
from tracekit.findings import Finding, Findings
from tracekit.loading.formats import format_names
from tracekit.loading.store import read_write

run = CliRunner()
SPAN = '{"traceId":"%032x","spanId":"%016x","name":"%s","startTimeUnixNano":"1000","endTimeUnixNano":"%d"}'
REQUEST = '{"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"shop"}}]},'
REQUEST += '"scopeSpans":[{"spans":[%s]}]}]}\n'


def request(*traces, name="GET /"):
    return REQUEST % ",".join(SPAN % (trace, trace, name, 2000 + trace) for trace in traces)


@pytest.fixture(autouse=True)
def place(tmp_path, monkeypatch):
    """An empty current folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def good(place):
    path = place / "good.jsonl"
    path.write_text(request(1, 2) + request(3))
    return path


@pytest.fixture
def torn(place):
    """A file of two requests with a line between them that is not JSON."""
    path = place / "torn.jsonl"
    path.write_text(request(1) + "{oops}\n" + request(2))
    return path


# ------------------------------------------------------------------ one command


@pytest.mark.parametrize("name", ["path", "new", "report"])
def test_only_the_command_that_is_asked_for_is_prepared(name):
    asked = cli._app_for([name, "pull"])
    assert [one.callback.__name__ for one in asked.registered_commands] == [name]
    assert run.invoke(asked, [name, "--help"]).output == run.invoke(app, [name, "--help"]).output


@pytest.mark.parametrize("arguments", [[], ["--version"], ["--help", "path"], ["pull", "path"], ["pathh"]])
def test_without_the_name_of_a_command_all_are_prepared(arguments):
    assert cli._app_for(arguments) is app


# ------------------------------------------------------------------ demo, report


def test_demo_writes_the_report_and_prints_the_findings(place):
    ran = run.invoke(app, ["demo"])
    assert ran.exit_code == 0, ran.output
    page = (place / "tracekit-demo.html").read_text(encoding="utf-8")
    assert page.lower().startswith("<!doctype html>")
    said = " ".join(ran.stdout.split())
    assert said.index("Sampling weights not set: ") < said.index("storefront POST /checkout p95 regressed 100 → 256 ms")
    assert "Mean latency of recorded requests regressed 39.3 → 57.1 ms" in said
    assert "is in ledger SELECT entries" in said
    assert "the slowest 5% of recorded storefront POST /checkout requests spend 199 ms in ledger SELECT" in said
    assert "is in ledger SELECT entries" in page
    assert "1,000 traces, 20,902 spans, 9 services" in said
    assert "tracekit-demo.html: " in said
    assert list(place.iterdir()) == [place / "tracekit-demo.html"], "the demo leaves one file"


def test_demo_without_a_folder_prints_nothing_but_the_error():
    ran = run.invoke(app, ["demo", "-o", "nowhere/x.html"])
    assert ran.exit_code == 2
    assert ran.stdout == ""


def test_demo_shows_the_baseline_and_the_incident():
    before, during = tk.load_sample("checkout-regression")
    lines = run.invoke(app, ["demo", "-o", "x.html"]).stdout.splitlines()
    (p95,) = [line.split() for line in lines if line.strip().startswith("p95")]
    slow = [tk.latency(traces, by=(), roots=True).table["p95_ns"].iloc[0] / 1e6 for traces in (before, during)]
    assert float(p95[1]) == pytest.approx(slow[0], rel=0.01)
    assert float(p95[5]) == pytest.approx(slow[1], rel=0.01)
    assert slow[1] > 2 * slow[0]


def test_report_reads_many_files_into_one_page(place, good):
    with gzip.open(place / "more.gz", "wt") as more:
        more.write(request(7, name="POST /pay"))
    ran = run.invoke(app, ["report", good.name, "more.gz", "-o", "out.html", "--title", "Two <files>"])
    assert ran.exit_code == 0, ran.output
    assert "TraceSet(4 traces, 4 spans, 1 service" in ran.stdout
    page = (place / "out.html").read_text(encoding="utf-8")
    assert "Two &lt;files&gt;" in page
    assert "POST /pay" in page


def test_report_shows_what_changed_since_a_baseline(place, good):
    (place / "before.jsonl").write_text("".join(request(n, name="GET /old") for n in range(20, 24)), encoding="utf-8")
    ran = run.invoke(app, ["report", good.name, "--baseline", "before.jsonl", "-o", "out.html"])
    assert ran.exit_code == 0, ran.output
    page = (place / "out.html").read_text(encoding="utf-8")
    assert "What changed" in page
    assert "GET /old" in page
    ran = run.invoke(app, ["report", good.name, "--baseline", "nowhere.jsonl", "-o", "new.html"])
    assert ran.exit_code == 2
    assert "nowhere.jsonl" in ran.stderr
    assert not (place / "new.html").exists()


def test_report_joins_log_lines(place, good):
    lines = [{"time": 2000, "level": "error", "msg": f"<b>{k}</b> declined", "trace_id": f"{k:032x}"} for k in (1, 9)]
    (place / "app.jsonl").write_text("\n".join(map(json.dumps, lines)))
    ran = run.invoke(app, ["report", str(good), "--logs", "app.jsonl", "-o", "page.html"])
    assert ran.exit_code == 0, ran.output
    assert "Logs(2 lines, 50.0% joined (1 by id), 1 templates" in ran.output
    ran = run.invoke(app, ["report", str(good), "--logs", "nothing.jsonl", "-o", "page.html"])
    assert ran.exit_code == 2
    assert "PATH_MISSING nothing.jsonl" in ran.output


def test_report_shows_the_error_budget_and_the_costs(place, good):
    (place / "prices.toml").write_text("[[price]]\nname = 'bank'\nwhere = \"name == 'GET /'\"\nusd_per_million = 5\n")
    wanted = ["--slo", "99.9%", "--slo-latency-ms", "300", "--prices", "prices.toml", "--prices", "aws-lambda"]
    ran = run.invoke(app, ["report", good.name, *wanted, "-o", "page.html"])
    assert ran.exit_code == 0, ran.output
    page = re.sub("<[^>]+>", "", (place / "page.html").read_text(encoding="utf-8"))
    assert "Service level objective" in page
    assert "objective=0.999, latency_ms=300.0" in page
    assert "per request" in page
    assert "usd_per_million=5" in page


def test_report_takes_sampling_weights(place, good):
    ran = run.invoke(app, ["report", good.name, "--weights", "1", "--slo", "99%", "-o", "page.html"])
    assert ran.exit_code == 0, ran.output
    page = re.sub("<[^>]+>", "", (place / "page.html").read_text(encoding="utf-8"))
    assert "not assessable; sampling weights unknown" not in page
    assert re.search(r"objective 99(\.0)?%", page)
    ran = run.invoke(app, ["report", good.name, "--weights", "nowhere", "-o", "new.html"])
    assert ran.exit_code == 2
    assert "nowhere" in ran.stderr
    assert not (place / "new.html").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--slo", "often"], "expected a share such as 99.9% or 0.999, found 'often'"),
        (["--slo", "99.9"], "expected a share such as 99.9% or 0.999, found '99.9'"),
        (["--slo", "nan"], "expected a share"),
        (["--slo-latency-ms", "300"], "a latency objective needs --slo"),
        (["--slo", "0.99", "--slo-latency-ms", "0"], "expected milliseconds above 0, found 0.0"),
        (["--prices", "gcp"], "one of the lists aws-lambda, or a file NAME.toml, found 'gcp'"),
        (["--prices", "none.toml"], "expected a file of prices, found none at none.toml"),
        (["--prices", "bad.toml"], "nowhere"),
    ],
)
def test_report_refuses_goals_that_it_cannot_use(place, good, options, message):
    (place / "bad.toml").write_text("[[price]]\nname = 'bank'\nwhere = 'nowhere == 3'\n")
    ran = run.invoke(app, ["report", good.name, *options, "-o", "page.html"])
    assert ran.exit_code == 2
    assert message in " ".join(ran.stderr.replace("│", " ").split())
    assert not (place / "page.html").exists()


def test_the_same_input_gives_the_same_page(place, good):
    for name in ("a.html", "b.html"):
        assert run.invoke(app, ["report", good.name, "-o", name]).exit_code == 0
    assert (place / "a.html").read_bytes() == (place / "b.html").read_bytes()


@pytest.mark.usefixtures("good")
def test_report_takes_patterns_and_standard_input():
    ran = run.invoke(app, ["report", "*.jsonl", "-", "-o", "out.html"], input=request(9).encode())
    assert ran.exit_code == 0, ran.output
    assert "TraceSet(4 traces" in ran.stdout


def test_a_report_that_cannot_be_written_is_one_line(good):
    ran = run.invoke(app, ["report", good.name, "-o", "nowhere/out.html"])
    assert ran.exit_code == 2
    assert "expected the path of a file in an existing folder, found no folder" in ran.stderr


def test_strict_stops_at_the_first_bad_record(torn):
    assert run.invoke(app, ["report", torn.name]).exit_code == 0
    ran = run.invoke(app, ["report", torn.name, "--strict"])
    assert ran.exit_code == 2
    assert ran.stderr.startswith("tracekit: JSON_SYNTAX ")
    assert "torn.jsonl:2" in ran.stderr


def test_a_unit_other_than_the_default_can_be_given(place):
    """Times of 2023 in microseconds: refused, with the remedy; read with it."""
    span = SPAN % (1, 1, "x", 0)
    span = span.replace('"1000"', '"1700000000000000"').replace('"0"', '"1700000000000250"')
    (place / "micro.jsonl").write_text(REQUEST % span)
    ran = run.invoke(app, ["check", "micro.jsonl"])
    assert ran.exit_code == 2
    assert "TIME_UNIT" in ran.stderr
    assert "us" in ran.stderr
    ran = run.invoke(app, ["check", "micro.jsonl", "--time-unit", "us"])
    assert ran.exit_code == 0, ran.output
    assert "2023-11-14" in ran.stdout


# ------------------------------------------------------------------ check


def test_check_of_good_files_is_0(good):
    ran = run.invoke(app, ["check", good.name])
    assert ran.exit_code == 0, ran.output
    assert "TraceSet(3 traces, 3 spans, 1 service" in ran.stdout
    (row,) = [line.split() for line in ran.stdout.splitlines() if line.strip().startswith("good.jsonl")]
    assert row == [good.name, "otlp", "688", "bytes", "3", "3", "0", "0", "0", "yes"]


def test_check_tells_the_lane_where_asked(good, monkeypatch):
    monkeypatch.setenv("TRACEKIT_LANE", "python")
    done = run.invoke(app, ["check", str(good), "--verbose"])
    assert done.exit_code == 0
    assert "read by the python lane: TRACEKIT_LANE=python" in done.stderr


def test_check_of_files_with_bad_records_is_1(torn):
    ran = run.invoke(app, ["check", torn.name])
    assert ran.exit_code == 1, ran.output
    assert "1 record quarantined" in ran.stdout
    (row,) = [line.split() for line in ran.stdout.splitlines() if line.strip().startswith("error")]
    assert row[:5] == ["error", "JSON_SYNTAX", "quarantined", "1", "torn.jsonl:2"]


@pytest.mark.parametrize("others", [[], ["good.jsonl"]])
@pytest.mark.usefixtures("good")
def test_check_of_a_file_that_cannot_be_read_is_2(place, others):
    (place / "page.json").write_text("<!doctype html><title>Sign in</title>")
    ran = run.invoke(app, ["check", "page.json", *others])
    assert ran.exit_code == 2
    assert "FILE_HTML" in ran.output
    assert "Sign in" in ran.output
    assert bool(others) == ("TraceSet(3 traces" in ran.stdout)


def test_check_of_a_file_that_is_cut_is_2(place):
    (place / "cut.gz").write_bytes(gzip.compress(request(*range(1, 2000)).encode())[:-100])
    ran = run.invoke(app, ["check", "cut.gz"])
    assert ran.exit_code == 2
    assert "CONTAINER_TRUNCATED" in ran.output


def test_check_of_a_live_file_is_1(place):
    (place / "live.jsonl").write_text(request(1) + request(2)[:-40])
    ran = run.invoke(app, ["check", "live.jsonl"])
    assert ran.exit_code == 1
    assert "JSON_TRUNCATED_TAIL" in ran.stdout
    assert " no: " in ran.stdout


def test_check_as_json_holds_the_rows_of_both_frames(torn):
    ran = run.invoke(app, ["check", torn.name, "--json"])
    assert ran.exit_code == 1
    told = json.loads(ran.stdout)
    assert (told["exit_code"], told["trace_count"], told["span_count"], told["error"]) == (1, 2, 2, None)
    (source,) = told["sources"]
    assert source["span_count"] == source["accepted_count"] + source["merged_count"] + source["quarantined_count"] == 3
    issue = told["issues"][0]
    assert (issue["code"], issue["record_number"], issue["action"]) == ("JSON_SYNTAX", 2, "quarantined")


def test_check_as_json_reports_why_nothing_could_be_read(place):
    (place / "empty.json").touch()
    ran = run.invoke(app, ["check", "empty.json", "--json"])
    assert ran.exit_code == 2
    told = json.loads(ran.stdout)
    assert (told["exit_code"], told["error"]["code"], told["sources"]) == (2, "FILE_EMPTY", [])
    assert ran.stderr.startswith("tracekit: FILE_EMPTY")


def test_check_of_a_store_larger_than_memory_says_the_same(torn, tmp_path, monkeypatch):
    store = str(tk.convert(str(torn), tmp_path / "a.parquet"))
    expected = [run.invoke(app, ["check", store, *more]) for more in ((), ("--json",))]
    monkeypatch.setattr(read_write, "free_bytes", lambda: 1)
    found = [run.invoke(app, ["check", store, *more]) for more in ((), ("--json",))]
    assert "a.parquet is larger than the free memory: it is read part by part" in found[0].stderr
    assert [one.exit_code for one in found] == [one.exit_code for one in expected] == [1, 1]
    assert found[1].stdout == expected[1].stdout
    assert found[0].stdout.partition("\n")[2] == expected[0].stdout.partition("\n")[2]
    assert found[0].stdout.startswith("TraceStore(a.parquet: ")


def test_check_reads_a_store_as_it_reads_the_files(torn):
    assert run.invoke(app, ["convert", torn.name, "-o", "torn.parquet"]).exit_code == 0
    ran = run.invoke(app, ["check", "torn.parquet", "--json"])
    assert ran.exit_code == 1, ran.output
    assert (
        json.loads(ran.stdout)["sources"]
        == json.loads(run.invoke(app, ["check", torn.name, "--json"]).stdout)["sources"]
    )


# ------------------------------------------------------------------ convert


def test_convert_writes_what_read_reads(torn):
    ran = run.invoke(app, ["convert", torn.name, "-o", "traces.parquet"])
    assert ran.exit_code == 0, ran.output
    assert "1 records quarantined" in ran.stdout
    assert repr(tk.read("traces.parquet")) == repr(tk.read("torn.jsonl"))


def test_convert_flat_writes_one_file(place, torn):
    ran = run.invoke(app, ["convert", "--flat", torn.name, "-o", "spans.parquet"])
    assert ran.exit_code == 0, ran.output
    assert "spans.parquet: 0.0 MB, 1 records quarantined" in ran.output
    assert (place / "spans.parquet").read_bytes()[:4] == b"PAR1"
    ran = run.invoke(app, ["check", "spans.parquet"])
    assert ran.exit_code == 2
    assert "found columns of tracekit; use TraceSet.from_spans(pandas.read_parquet(FILE))" in ran.output


def test_convert_of_nothing_readable_leaves_nothing(place):
    (place / "empty.json").touch()
    ran = run.invoke(app, ["convert", "empty.json", "-o", "traces.parquet"])
    assert ran.exit_code == 2
    assert [path.name for path in place.iterdir()] == ["empty.json"]


def test_convert_does_not_write_over_what_is_no_store(place, good):
    (place / "mine").mkdir()
    (place / "mine" / "thesis.txt").write_text("years")
    ran = run.invoke(app, ["convert", good.name, "-o", "mine"])
    assert ran.exit_code == 2
    assert (place / "mine" / "thesis.txt").read_text() == "years"


# ------------------------------------------------------------------ samples, lab


def test_samples_lists_every_recording():
    ran = run.invoke(app, ["samples"])
    assert ran.exit_code == 0
    assert all(name in ran.stdout for name in tk.list_samples()["name"])


def test_lab_copies_the_notebooks_and_never_overwrites_one(place, monkeypatch):
    started = []
    monkeypatch.setattr(cli.subprocess, "run", lambda call, **_: started.append(call) or Left(7))
    ran = run.invoke(app, ["lab", "--no-browser"])
    assert ran.exit_code == 7, "the exit code is JupyterLab's"
    assert started == [[sys.executable, "-m", "jupyterlab", "notebooks", "--no-browser"]]
    copy = place / "notebooks" / "01-first-look.ipynb"
    assert copy.read_bytes() == (Path(__file__).parents[1] / "notebooks" / copy.name).read_bytes()
    copy.write_text("my notes")
    ran = run.invoke(app, ["lab"])
    assert "01-first-look.ipynb: exists, not overwritten" in ran.stdout
    assert copy.read_text() == "my notes"


def test_lab_opens_the_notebooks_with_the_traces_given(good, place, monkeypatch):
    started = []
    monkeypatch.setattr(cli.subprocess, "run", lambda call, **_: started.append(call) or Left(0))
    call = ["lab", "--traces", good.name, "--baseline", good.name]
    ran = run.invoke(app, call)
    assert ran.exit_code == 0, ran.output
    assert started == [[sys.executable, "-m", "jupyterlab", "notebooks-good"]]
    copies = sorted(path.name for path in (place / "notebooks-good").iterdir())
    assert [name[:2] for name in copies] == ["01", "02", "03", "04", "07", "08", "09", "10", "11", "12", "13", "15"]
    assert f"traces_path = {str(good.absolute())!r}" in (place / "notebooks-good" / copies[0]).read_text()
    assert "exists, not overwritten" in run.invoke(app, call).stdout
    ran = run.invoke(app, call[:3])
    assert ran.exit_code == 2
    assert "found other parameters; it was not overwritten" in ran.stderr
    assert len(started) == 2, "not opened with other parameters"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--traces", "absent.jsonl"], "PATH_MISSING"),
        (["--traces", "-"], "expected files, found - (standard input), which a notebook cannot read"),
        (["--baseline", "good.jsonl"], "a baseline needs --traces to compare with it"),
        (["--audit", "absent"], "expected a folder, found none at absent"),
    ],
)
def test_lab_says_what_cannot_be_opened(good, place, arguments, said):
    ran = run.invoke(app, ["lab", *arguments])
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.replace("│", " ").split())
    assert [path.name for path in place.iterdir()] == [good.name]


class Left:
    """A process that has ended."""

    def __init__(self, returncode):
        self.returncode = returncode


def test_lab_cannot_create_a_folder_in_a_file(place):
    (place / "file").touch()
    ran = run.invoke(app, ["lab", "--folder", "file/notebooks"])
    assert ran.exit_code == 2
    assert "tracekit: cannot create folder file/notebooks: Not a directory; choose another with --folder" in ran.stderr


def test_lab_without_jupyterlab_names_the_extra(place, monkeypatch):
    monkeypatch.setattr(cli, "find_spec", lambda _: None)
    ran = run.invoke(app, ["lab"])
    assert ran.exit_code == 2
    assert "pip install 'tracekit-notebook[lab]'" in ran.stderr
    assert not list(place.iterdir())


# ------------------------------------------------------------------ how it fails


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["check", "absent.jsonl"], "PATH_MISSING"),
        (["check", "good.jsonl", "--format", "otpl"], f"unknown format 'otpl'; use {', '.join(format_names())}"),
        (["check", "good.jsonl", "--time-unit", "min"], "unknown time unit 'min'; use ns, us, ms, s"),
        (["check", "good.jsonl", "--format", "zipkin"], "tracekit: "),
        (["convert", "good.jsonl"], "--output"),
        (["chekc"], "chekc"),
    ],
)
@pytest.mark.usefixtures("good")
def test_impossible_requests_are_reported_without_a_traceback(arguments, said):
    ran = run.invoke(app, arguments)
    assert ran.exit_code == 2
    assert said in " ".join(ran.stderr.replace("│", " ").split())
    assert "Traceback" not in ran.output
    assert isinstance(ran.exception, SystemExit)


def test_a_fault_of_our_own_is_not_dressed_up(good, monkeypatch):
    monkeypatch.setattr(cli_check, "_exit_code", lambda _: 1 / 0)
    assert isinstance(run.invoke(app, ["check", good.name]).exception, ZeroDivisionError)


def test_names_of_the_input_cannot_steer_the_terminal(place):
    (place / "odd\x1b[31m.jsonl").write_text(request(1) + "{\x1b]0;title\x07\n")
    ran = run.invoke(app, ["check", "*.jsonl"])
    assert ran.exit_code == 1
    assert "\x1b" not in ran.output
    assert "\x07" not in ran.output
    ran = run.invoke(app, ["check", "gone\x1b[31m.jsonl"])
    assert ran.exit_code == 2
    assert "\x1b" not in ran.output
    assert ran.stderr.count("\n") == 1


def test_markup_in_names_is_text(capsys):
    show(findings_table(Findings([Finding("c", "info", "[red]not red[/red] :smile: [link=x]")])))
    assert "[red]not red[/red] :smile: [link=x]" in capsys.readouterr().out


def test_issues_are_counted_by_code_most_severe_first(place):
    lines = [request(1), "{\n", '{"resourceMetrics":[]}\n', "{\n", request(1)]
    (place / "odd.jsonl").write_text("".join(lines))
    traces = tk.read("odd.jsonl")
    table = issues_table(traces.issues, traces.sources)
    codes, times = (list(table.columns[at].cells) for at in (1, 3))
    counted = dict(zip(map(str, codes), times, strict=True))
    assert counted["JSON_SYNTAX"] == "2"
    assert counted["SIGNAL_MIXED"] == "1"
    assert list(map(str, codes)).index("JSON_SYNTAX") < list(map(str, codes)).index("SIGNAL_MIXED")
    assert sources_table(traces.sources).row_count == 1


def terminal(*arguments, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "tracekit", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(tk.__file__).parents[1])},
        **options,
    )


def test_the_module_runs_as_the_script_does():
    with terminal("--version") as process:
        assert process.communicate(timeout=60)[0] == f"tracekit {tk.__version__}\n"


def test_a_reader_that_has_seen_enough_is_no_error(good):
    with terminal("check", good.name, "--json") as process:
        process.stdout.close()
        complaint = process.stderr.read()
        process.wait(timeout=60)
    assert "Traceback" not in complaint


@pytest.mark.skipif(os.name == "nt", reason="signals of another kind")
@pytest.mark.parametrize("command", [["report", "-", "-o", "out.html"], ["convert", "-", "-o", "out.parquet"]])
def test_ctrl_c_ends_with_a_message_and_130(place, command):
    """The command waits for standard input, which stays open; one interrupt ends it, without a file."""
    with terminal(*command, stdin=subprocess.PIPE) as process:
        process.stdin.write(request(1) * 4000)  # more than a pipe holds: when this returns, the command is reading
        process.stdin.flush()
        process.send_signal(signal.SIGINT)
        process.wait(timeout=120)
        out, complaint = process.communicate()
    assert process.returncode == 130, (out, complaint)
    assert complaint == "tracekit: stopped; no partial files were left\n"
    assert not list(place.iterdir())


def test_modules_are_imported_while_files_are_read(monkeypatch):
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)
    with imported_beside("of_no_such_name", "colorsys"):
        pass
    assert "colorsys" in sys.modules
