"""Files read by several processes: the same set as by one, and nothing left behind when something goes wrong."""

import gzip
import io
import json
import os
import pickle
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import otlp_made as made
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sets import assert_identical, shop_lines
from test_convert import noisy

from tracekit.errors import LoadError
from tracekit.loading import parallel, read
from tracekit.loading.opening.source import from_file
from tracekit.loading.parallel import Result, Worker, read_parallel, serve, shares
from tracekit.loading.progress import Meter

TRACE = "1-58406520-a006649127e371903a2de979"
SUBSEGMENT = {"start_time": 1.7e9, "end_time": 1.7e9 + 1, "type": "subsegment"}
RECORDED = {
    "segment": {"id": "0" * 15 + "1", "trace_id": TRACE, "name": "shop", "start_time": 1.7e9, "end_time": 1.7e9 + 1},
    "subsegment": {"id": "0" * 15 + "2", "trace_id": TRACE, "name": "cart", "parent_id": "0" * 15 + "1", **SUBSEGMENT},
    "below": {"id": "0" * 15 + "3", "trace_id": TRACE, "name": "db", "parent_id": "0" * 15 + "2", **SUBSEGMENT},
    "orphan": {"id": "0" * 15 + "4", "trace_id": TRACE, "name": "mail", "parent_id": "0" * 15 + "9", **SUBSEGMENT},
    "unfinished": {"id": "0" * 15 + "1", "trace_id": TRACE, "name": "shop", "start_time": 1.7e9, "in_progress": True},
}


def answer(*names, **members):
    """An answer of BatchGetTraces with these documents."""
    entries = [{"Id": RECORDED[name]["id"], "Document": json.dumps(RECORDED[name])} for name in names]
    return json.dumps({"Traces": [{"Id": TRACE, "Segments": entries, **members}]}).encode()


CONTENTS = {
    **{name: json.dumps(document).encode() for name, document in RECORDED.items()},
    "first answer": answer("segment", Duration=2.5),
    "second answer": answer("subsegment", "below", Duration=1.5, LimitExceeded=True),
    "packed": gzip.compress(noisy(5, 3, seed=3)),
    "cut": gzip.compress(noisy(5, 3, seed=4))[:-30],
    "otlp": noisy(12, 4),
    "more": noisy(12, 5, seed=1),
    "zipkin": json.dumps([{"traceId": "a1", "id": "b2", "name": "get", "timestamp": 1_700_000_000_000_000}]).encode(),
    "noise": b"noise",
    "empty": b"",
    "other": made.lines(made.request(made.span(startTimeUnixNano="1700000000", endTimeUnixNano="1700000001"))),
}


class Within(Worker):
    """A helper that does its work in this process."""

    def __init__(self, sources, name, progress):
        asked, answers = io.BytesIO(pickle.dumps((sources, name))), io.BytesIO()
        serve(asked, answers)
        answers.seek(0)
        lines = list(iter(answers.readline, b"\n"))
        self.byte_count, self.span_count = map(int, lines[-1].split())
        self._rest, self._progress = answers.read(), progress

    def wait(self):
        self._progress.show()
        return Result(*pickle.loads(self._rest))

    def end(self):
        pass


@pytest.fixture
def folder(tmp_path):
    """Three files with traces that are in several of them."""
    for number in range(3):
        (tmp_path / f"{number}.jsonl").write_bytes(noisy(80, 12, seed=number))
    return tmp_path


@pytest.fixture
def started(monkeypatch):
    """The processes that are started."""
    found = []

    class Popen(subprocess.Popen):
        def __init__(self, *arguments, **more):
            super().__init__(*arguments, **more)
            found.append(self)

    monkeypatch.setattr(parallel.subprocess, "Popen", Popen)
    return found


# -------------------------------------------------------------------- the same


@pytest.mark.parametrize("workers", [2, 3, 9])
def test_processes_give_what_one_gives(folder, started, workers):
    found = read(folder, workers=workers)
    assert_identical(found, read(folder, workers=1))
    assert len(started) == min(workers, 3) - 1
    assert [process.poll() is not None for process in started] == [True] * len(started)


def outcome(folder, workers):
    """What was read, or why nothing was."""
    try:
        return read(folder, workers=workers)
    except LoadError as error:
        return error


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.sampled_from(sorted(CONTENTS)), min_size=2, max_size=6), st.integers(2, 4))
def test_any_content_of_the_files(tmp_path_factory, monkeypatch, names, workers):
    monkeypatch.setattr(parallel, "Worker", Within)
    folder = tmp_path_factory.mktemp("files")
    for number, name in enumerate(names):
        (folder / f"{number}.json").write_bytes(CONTENTS[name])
    one, several = outcome(folder, 1), outcome(folder, workers)
    if isinstance(one, LoadError):
        assert (str(several), several.code) == (str(one), one.code)
    else:
        assert_identical(several, one)


def test_a_cause_in_an_earlier_file_that_was_not_found_is_reported(tmp_path):
    cause = {"exceptions": [{"id": "a" * 16, "type": "Timeout", "message": "m"}]}
    for number, more in enumerate(
        ({**RECORDED["subsegment"], "cause": cause}, {**RECORDED["segment"], "cause": "a" * 16})
    ):
        (tmp_path / f"{number}.json").write_text(json.dumps(more))
    assert "XR_CAUSE_DANGLING" not in set(read(tmp_path, workers=1).issues["code"])
    assert read(tmp_path, workers=2).issues["code"].tolist().count("XR_CAUSE_DANGLING") == 1


def test_a_file_that_cannot_be_read_is_an_issue(folder, started):
    (folder / "1.jsonl").write_bytes(b"noise")
    found = read(folder, workers=3)
    assert len(started) == 2
    assert_identical(found, read(folder, workers=1))
    assert found.sources["complete"].tolist() == [True, False, True]


def test_no_file_can_be_read(tmp_path, started):
    for name in "ab":
        (tmp_path / name).write_bytes(b"noise")
    with pytest.raises(LoadError, match=r"JSON_SYNTAX .*a:1") as found:
        read(tmp_path, workers=2)
    assert found.value.source == str(tmp_path / "a")
    assert len(started) == 1


def test_the_format_and_the_unit_are_for_all(tmp_path):
    spans = [
        made.span(**made.ids(n), startTimeUnixNano="1700000000000", endTimeUnixNano="1700000000007") for n in (1, 2)
    ]
    for number, span in enumerate(spans):
        (tmp_path / f"{number}").write_bytes(made.lines(made.request(span)))
    found = read(tmp_path, format="otlp", time_unit="ms", workers=2)
    assert found.spans["duration_ns"].tolist() == [7_000_000, 7_000_000]
    with pytest.raises(LoadError, match="TIME_UNIT"):
        read(tmp_path, workers=2)
    with pytest.raises(LoadError, match="zipkin"):
        read(tmp_path, format="zipkin", workers=2)


# -------------------------------------------------------------------- who reads what


def test_files_are_shared_by_their_length(tmp_path):
    for name, size in {"a": 100, "b": 100, "c": 100, "d": 300, "e": 10}.items():
        (tmp_path / name).write_bytes(b" " * size)
    sources = [from_file(tmp_path / name) for name in "abcde"]
    named = partial(map, lambda share: "".join(source.path.name for source in share))
    assert list(named(shares(sources, 2))) == ["abc", "de"]
    assert list(named(shares(sources, 1))) == ["abcde"]
    assert "".join(named(shares(sources, 4))) == "abcde"


def test_small_files_are_read_by_one_process(folder, started, monkeypatch):
    monkeypatch.setattr(parallel, "processors", lambda: 2)
    assert len(read(folder)) == len(read(folder, workers=2))
    assert len(started) == 1
    monkeypatch.setattr(parallel, "PARALLEL_BYTES", 3 * len(noisy(80, 12)) - 10_000)
    read(folder)
    assert len(started) == 2


def test_packed_files_count_for_what_is_in_them(tmp_path):
    (tmp_path / "a.jsonl.zst").write_bytes(b" " * 10)
    (tmp_path / "b.jsonl").write_bytes(b" " * 100)
    (tmp_path / "c.jsonl").write_bytes(b"")
    sources = [from_file(tmp_path / name) for name in ("a.jsonl.zst", "b.jsonl", "c.jsonl")]
    assert [len(share) for share in shares(sources, 2)] == [1, 2]


def test_what_is_no_file_is_read_by_one_process(started):
    assert len(read([shop_lines(1), shop_lines(3)], workers=2)) == 2
    assert not started


@pytest.mark.parametrize("option", [{"strict": True}, {"on_issue": list}])
def test_issues_in_order_need_one_process(folder, started, option):
    for file in folder.iterdir():
        file.write_bytes(shop_lines(1).replace(b"noise\n", b""))
    read(folder, workers=2, **option)
    assert not started


def test_processors_are_counted_where_affinity_is_unknown(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    for found, expected in ((5, 5), (None, 1)):
        monkeypatch.setattr(os, "cpu_count", lambda found=found: found)
        assert parallel.processors() == expected


def test_workers_below_one(folder):
    with pytest.raises(ValueError, match="expected workers of 1 or more, or None, found 0"):
        read(folder, workers=0)


# -------------------------------------------------------------------- what may go wrong


def dying(how):
    """A helper that begins, and then does this."""
    return parallel._PROGRAM.replace("start()", f"print(5, 5, flush=True); {how}")


@pytest.mark.parametrize(
    ("how", "code"), [("sys.exit(7)", 7), ("print(1, end='')", 0), ("os.kill(os.getpid(), signal.SIGKILL)", -9)]
)
def test_a_helper_that_is_killed_midway(folder, started, monkeypatch, how, code):
    monkeypatch.setattr(parallel, "_PROGRAM", dying(how))
    with pytest.raises(
        LoadError, match=rf"read [12] of the files, found that it ended with {code} before .*workers=1"
    ) as found:
        read(folder, workers=2)
    assert started[0].poll() == code
    assert isinstance(found.value.__cause__, (EOFError, ValueError))


@pytest.mark.parametrize("how", ["print('noise')", "print(); print('noise')"])
def test_an_answer_that_is_none_is_not_waited_for(folder, monkeypatch, how):
    endless = "while True: print('more' * 10_000)"
    monkeypatch.setattr(parallel, "_PROGRAM", dying(f"{how}\n{endless}"))
    with pytest.raises(LoadError, match="ended with 1 before it was done"):
        read(folder, workers=2)


@pytest.mark.parametrize("program", ["import sys; sys.exit(7)", "print('hello')", "import no_such_module"])
def test_where_no_helper_can_begin_this_process_reads(folder, started, monkeypatch, program):
    monkeypatch.setattr(parallel, "_PROGRAM", program)
    assert_identical(read(folder, workers=3), read(folder, workers=1))
    assert len(started) == 2


def test_where_no_process_can_be_started_this_one_reads(folder, monkeypatch):
    def refused(*_, **__):
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(parallel.subprocess, "Popen", refused)
    told = []
    monkeypatch.setattr(Meter, "at", lambda _, *far: told.append(far))
    assert_identical(found := read(folder, workers=3), read(folder, workers=1))
    assert told == sorted(told[: len(told) // 2]) + sorted(told[len(told) // 2 :])
    assert told[-1][0] == found.sources["byte_count"].sum()


@pytest.mark.parametrize("name", ["", "/opt/app/trace-viewer", "/usr/bin/uwsgi"])
def test_another_program_is_not_started(folder, started, monkeypatch, name):
    monkeypatch.setattr(sys, "executable", name)
    read(folder, workers=2)
    monkeypatch.undo()
    assert not started


def test_a_packed_program_is_not_started_again(folder, started, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    read(folder, workers=2)
    assert not started


def test_paths_that_are_no_texts_are_left_out(folder, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path, lambda: None])
    assert_identical(read(folder, workers=2), read(folder, workers=1))


def test_files_that_cannot_be_listed_are_issues_as_ever(folder, started):
    (folder / "8.json").symlink_to(folder / "nowhere")
    (folder / "9.zip").write_bytes(b"PK\x03\x04noise")
    found = read(folder, workers=5)
    assert len(started) >= 1
    assert_identical(found, read(folder, workers=1))
    assert found.issues["code"].tolist()[-2:] == ["PATH_MISSING", "CONTAINER_DAMAGED"]


def test_names_that_are_no_text(folder):
    (folder / "2.jsonl").rename(os.fsdecode(os.fsencode(folder) + b"/\xff.jsonl"))
    assert_identical(read(folder, workers=3), read(folder, workers=1))


def test_more_files_than_a_pipe_holds(tmp_path):
    for number in range(400):
        (tmp_path / f"{number:0200}.jsonl").write_bytes(made.lines(made.request(made.span(**made.ids(number + 1)))))
    assert len(read(tmp_path, workers=2)) == 400


def test_nothing_is_left_open(folder):
    def held():
        return sorted(Path("/proc/self/fd").iterdir()), threading.active_count()

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("no list of open files on this system")
    before = held()
    for _ in range(3):
        read(folder, workers=3)
    assert held() == before


def test_a_program_without_standard_streams(folder):
    script = folder.parent / "script.py"
    script.write_text(
        "import os, sys, tracekit as tk\n"
        "told = os.dup(1)\n"
        "for fd in (0, 1, 2): os.close(fd)\n"
        "sys.stdin = sys.stdout = sys.stderr = None\n"
        f"os.write(told, b'%d' % len(tk.read({str(folder)!r}, workers=2)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout == str(len(read(folder)))


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("when", ["Popen", "at"])
def test_helpers_exit_without_output_if_all_are_interrupted_or_one_is_killed(folder, end, when):
    place = "parallel.subprocess, 'Popen'" if when == "Popen" else "parallel._Progress, 'at'"
    script = folder.parent / "script.py"
    script.write_text(
        "import os, sys, time, tracekit as tk\n"
        "from tracekit.loading import parallel\n"
        "def ended(*_, of=0, **__):\n"
        "    started = of and of(*_, **__)\n"
        f"    time.sleep(0.05); os.kill{'pg' if end == signal.SIGINT else ''}("
        f"{'0' if end == signal.SIGINT else 'os.getpid()'}, {int(end)})\n"
        "    return started\n"
        f"of = getattr({place}) if {when == 'Popen'} else 0\n"
        f"setattr({place}, lambda *_, **__: ended(*_, of=of, **__))\n"
        "try:\n"
        f"    tk.read({str(folder)!r}, workers=3)\n"
        "except KeyboardInterrupt:\n"
        "    print('interrupted')\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, script], check=False, capture_output=True, text=True, env=environment, start_new_session=True
    )
    assert (done.stdout, done.stderr) == ("interrupted\n" * (end == signal.SIGINT), "")


def test_an_interrupt_ends_the_helpers(folder, started, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(parallel, "_PROGRAM", "import time; time.sleep(600)")
    monkeypatch.setattr(parallel, "read_each", interrupted)
    with pytest.raises(KeyboardInterrupt):
        read(folder, workers=3)
    assert [process.poll() for process in started] == [-signal.SIGKILL] * 2


def test_a_script_without_a_guard_is_not_run_again(folder):
    script = folder.parent / "script.py"
    script.write_text(f"import tracekit as tk\nprint(len(tk.read({str(folder)!r}, workers=2)))\n")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, script], check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.splitlines() == [str(len(read(folder)))]
    assert not done.stderr


def test_output_of_a_helper_does_not_mix_with_its_result(folder, monkeypatch, capfd):
    loud = "s.read_each = lambda *a, r=s.read_each: print('noise', flush=True) or r(*a)"
    program = parallel._PROGRAM.replace("start()", f"import tracekit.loading.parallel as s; {loud}; start()")
    monkeypatch.setattr(parallel, "_PROGRAM", program)
    assert_identical(read(folder, workers=2), read(folder, workers=1))
    assert capfd.readouterr().err == "noise\n"


def test_the_common_progress_is_reported(folder, monkeypatch):
    told = []

    class Listener:
        def at(self, byte_count, span_count):
            told.append((byte_count, span_count))

    monkeypatch.setattr(parallel, "Worker", Within)
    sources = [from_file(file) for file in sorted(folder.glob("*.jsonl"))]
    found = read_parallel(shares(sources, 2), None, None, Listener())
    spans = found.sources["span_count"] - found.sources["quarantined_count"]
    assert told[-1] == (sum(source.byte_count for source in sources), spans.sum())
    assert told == sorted(told)


def test_files_keep_their_names(folder, monkeypatch):
    monkeypatch.chdir(folder)
    assert read(Path(), workers=2).sources["uri"].tolist() == read(Path()).sources["uri"].tolist()


@pytest.mark.parametrize("relative", ["", "."])
def test_helpers_import_nothing_from_the_working_directory(folder, tmp_path_factory, relative):
    trap = tmp_path_factory.mktemp("trap")
    for name in ("tracekit", "pickle", "numpy", "sitecustomize"):
        (trap / f"{name}.py").write_text(f"open({str(trap / 'sprung')!r}, 'w')")
    script = (
        "import os, sys\n"
        "import tracekit as tk\n"
        "from tracekit.loading import parallel\n"
        f"sys.path.insert(0, {relative!r})\n"
        f"os.chdir({str(trap)!r})\n"
        f"os.environ['PYTHONPATH'] = {relative!r} + os.pathsep + os.environ['PYTHONPATH']\n"
        f"print(len(tk.read({str(folder)!r}, workers=2)))\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    program = [sys.executable, "-P", "-c", script]
    done = subprocess.run(program, check=True, capture_output=True, text=True, env=environment)
    assert done.stdout.strip() == str(len(read(folder)))
    assert not (trap / "sprung").exists()
