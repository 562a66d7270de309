"""``tracekit pull BACKEND``: names, parameters and exit codes as for X-Ray."""

import pytest
from fake_backends import SECRET, Trace
from typer.testing import CliRunner

from tracekit.cli import app
from tracekit.pull.kinds import KINDS

run = CliRunner()
PERIOD = ["--start", "2025-10-09T08:53:00Z", "--end", "2025-10-09T08:55:00Z"]


def test_the_help_lists_the_backends():
    shown = run.invoke(app, ["pull", "--help"]).output
    assert all(name in shown for name in [*KINDS, "xray"])


@pytest.mark.parametrize("kind", ["jaeger", "tempo", "zipkin"])
def test_a_period_is_pulled_and_checked(serve, tmp_path, kind):
    server = serve(kind, [Trace(n) for n in range(5)])
    place = str(tmp_path / "pulled")
    ran = run.invoke(app, ["pull", kind, server.url, place, *PERIOD, "--limit", "2"])
    assert (ran.exit_code, ran.stdout) == (0, f"Pull({place}: 5 traces: 5 returned)\n"), ran.output
    assert run.invoke(app, ["pull", kind, server.url, place]).stdout == ran.stdout
    assert "5 traces" in run.invoke(app, ["check", place]).output


def test_missing_traces_are_listed(serve, tmp_path):
    server = serve("tempo", [Trace(0)])
    text = f"{Trace(0).id}\n{Trace(1).id}\n"
    ran = run.invoke(app, ["pull", "tempo", server.url, str(tmp_path / "pulled"), "--ids", "-"], input=text)
    assert ran.exit_code == 1
    assert f"  {Trace(1).id} not_found\n" in ran.stdout


def test_credentials_of_a_file(serve, tmp_path):
    server = serve("zipkin", [Trace(0)], secret=SECRET)
    (tmp_path / "headers").write_text(f"Authorization: {SECRET}\n")
    options = ["--credentials", str(tmp_path / "headers")]
    ran = run.invoke(app, ["pull", "zipkin", server.url, str(tmp_path / "pulled"), *PERIOD, *options])
    assert ran.exit_code == 0, ran.output


def test_a_pull_that_fails_and_wrong_arguments_exit_with_2(serve, tmp_path):
    server = serve("zipkin", secret=SECRET)
    ran = run.invoke(app, ["pull", "zipkin", server.url, str(tmp_path / "pulled"), *PERIOD])
    assert ran.exit_code == 2
    assert run.invoke(app, ["pull", "zipkin", server.url, str(tmp_path / "other")]).exit_code == 2


def test_the_first_screen_of_a_report_says_what_is_missing(serve, tmp_path):
    server = serve("tempo", [Trace(n, 1_760_000_000_000_000_500) for n in range(20)], max_limit=10)
    place, page = str(tmp_path / "pulled"), tmp_path / "report.html"
    ran = run.invoke(app, ["pull", "tempo", server.url, place, *PERIOD, "--limit", "10"])
    assert "note: " in ran.stdout
    assert run.invoke(app, ["report", place, "-o", str(page)]).exit_code == 0
    assert "Pull incomplete: 1 of" in page.read_text(encoding="utf-8")
