"""Tasks shared with a copy of the process: results, errors, warnings, interrupts, and the same page."""

import os
import signal
import threading
import time
import warnings
from functools import partial

import pandas as pd
import pytest
from typer.testing import CliRunner

import tracekit as tk
from tracekit.cli import app
from tracekit.report import beside
from tracekit.samples import sample_paths
from tracekit.views import colours

MANY = 10**9  # spans
in_two = pytest.mark.usefixtures("two")


@pytest.fixture
def two(monkeypatch):
    """Share tasks of any size, whatever threads earlier tests have left."""
    monkeypatch.setattr(beside, "_SPANS", 0)
    monkeypatch.setattr(beside, "_is_possible", lambda: True)


@pytest.fixture(autouse=True)
def _nothing_left():
    """No test leaves a process behind, running or ended."""
    yield
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def _begin(own, other):
    """Say that a task has begun, and wait until the other one has."""
    own.touch()
    while not other.exists():
        time.sleep(0.001)


def _by_both(tmp_path, last, *, meanwhile=None):
    """Return what the first and the last task return; neither process does both of them."""
    begun_here, begun_there, own = tmp_path / "here", tmp_path / "there", os.getpid()

    def first():
        _begin(begun_here, begun_there)
        return os.getpid()

    def announced():
        if os.getpid() != own:
            _begin(begun_there, begun_here)
        return last(os.getpid() != own)

    return beside.shared([first, announced], MANY, meanwhile=meanwhile)


@in_two
def test_one_process_does_the_last_task_and_this_one_the_first(tmp_path):
    first, last = _by_both(tmp_path, lambda is_copy: (is_copy, os.getpid()))
    assert first == os.getpid()
    assert last[0]
    assert last[1] != os.getpid()


@pytest.mark.parametrize("count", [0, 1, 2, 300])
@in_two
def test_results_are_in_the_order_of_the_tasks(count):
    assert beside.shared([partial(pow, at, 2) for at in range(count)], MANY) == [at * at for at in range(count)]


@in_two
def test_work_of_this_process_goes_on_meanwhile(tmp_path):
    seen = []
    _by_both(tmp_path, lambda _: None, meanwhile=lambda: seen.append(os.getpid()))
    assert seen == [os.getpid()]


@in_two
def test_an_error_of_the_copy_is_raised_here_with_its_own_traceback(tmp_path):
    def fails(_):
        raise ValueError("expected a text, found 3")

    with pytest.raises(ValueError, match="expected a text, found 3") as caught:
        _by_both(tmp_path, fails)
    assert [entry.name for entry in caught.traceback][-1] == "fails"


@in_two
def test_warnings_of_the_copy_are_repeated_here(tmp_path):
    def warns(is_copy):
        warnings.warn(f"few values, {is_copy}", RuntimeWarning, stacklevel=1)
        return 7

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        assert _by_both(tmp_path, warns)[1] == 7
    assert [str(one.message) for one in said] == ["few values, True"]
    assert said[0].filename == __file__


@in_two
def test_tasks_of_a_copy_that_is_killed_are_done_here(tmp_path):
    def is_killed(is_copy):
        if is_copy:
            os.kill(os.getpid(), signal.SIGKILL)
        return is_copy

    assert _by_both(tmp_path, is_killed)[1] is False


@in_two
def test_a_result_that_cannot_be_sent_is_made_here(tmp_path):
    last = _by_both(tmp_path, lambda is_copy: lambda: is_copy)[1]
    assert last() is False


@in_two
def test_all_is_done_here_where_the_system_allows_no_further_process(monkeypatch):
    def refused():
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", refused)
    assert beside.shared([os.getpid, os.getpid], MANY) == [os.getpid()] * 2


@in_two
def test_an_interrupt_ends_the_copy(tmp_path):
    def is_interrupted():
        os.kill(os.getpid(), signal.SIGINT)

    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        _by_both(tmp_path, lambda is_copy: time.sleep(60 * is_copy), meanwhile=is_interrupted)
    assert time.monotonic() - begun < 50


@in_two
def test_the_copy_leaves_interrupts_to_this_process(tmp_path):
    def is_interrupted(is_copy):
        if is_copy:
            os.kill(os.getpid(), signal.SIGINT)
        return is_copy

    assert _by_both(tmp_path, is_interrupted)[1] is True


@in_two
def test_an_error_here_ends_the_copy(tmp_path):
    def fails():
        raise ValueError("found nothing")

    with pytest.raises(ValueError, match="found nothing"):
        _by_both(tmp_path, lambda is_copy: time.sleep(60 * is_copy), meanwhile=fails)


def test_only_a_program_of_its_own_without_threads_is_copied(monkeypatch):
    monkeypatch.setattr(beside, "processors", lambda: 2)
    monkeypatch.setattr(threading, "active_count", lambda: 1)
    monkeypatch.setattr(beside.sys, "platform", "linux")
    assert not beside._is_possible()
    with beside.second_process():
        assert beside._is_possible()
        for module, name, value in (
            (threading, "active_count", lambda: 2),
            (beside.sys, "platform", "darwin"),
            (beside, "processors", lambda: 1),
        ):
            with monkeypatch.context() as patch:
                patch.setattr(module, name, value)
                assert not beside._is_possible()
    assert not beside._is_possible()


def test_few_spans_are_not_shared(monkeypatch):
    monkeypatch.setattr(beside, "_is_possible", lambda: True)
    assert beside.shared([os.getpid, os.getpid], 1_000) == [os.getpid()] * 2


@pytest.fixture
def page_of(monkeypatch, tmp_path):
    """Return the page and the output of a command that writes a report, from one or two processes."""

    def made(count, *arguments):
        monkeypatch.setattr(beside, "_SPANS", 0)
        monkeypatch.setattr(beside, "_is_possible", lambda: count == 2)
        monkeypatch.setattr(colours, "SHARED", colours.Colours())
        page = tmp_path / f"{count}.html"
        done = CliRunner().invoke(app, ["report", *arguments, "-o", str(page)])
        assert done.exit_code == 0, done.output
        return page.read_bytes(), done.output.replace(page.name, "page")

    return made


def test_the_page_is_the_same_from_one_and_two_processes(page_of):
    baseline, current = map(str, sample_paths("checkout-regression"))
    arguments = [current, "--baseline", baseline, "--slo", "0.99"]
    assert page_of(2, *arguments) == page_of(1, *arguments)


def test_services_that_a_copy_meets_first_have_the_same_colours(page_of, tmp_path):
    names = ["shop", "", "cart", "ledger", "stock", "mail", "search", "cache"]
    rows = [
        {"trace_id": "a1", "span_id": f"{at + 1:016x}", "parent_span_id": f"{1:016x}" if at else None, "name": "call",
         "kind": "CLIENT", "service_name": name or None, "start_ns": at * 1000, "end_ns": 10_000,
         "peer.service": f"peer-{at}"}
        for at, name in enumerate(names)
    ]  # fmt: skip
    path = str(tk.TraceSet.from_spans(pd.DataFrame(rows)).to_otlp(tmp_path / "spans.jsonl"))
    assert page_of(2, path) == page_of(1, path)
