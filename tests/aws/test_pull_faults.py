"""An X-Ray that misbehaves: a pull accounts for every id or stops and says why, and goes on where it was."""

import errno
import fcntl
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
import traceback
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import boto3
import pandas as pd
import pytest
from fake_xray import BEGUN, Schedule, Trace, trace_id

import tracekit as tk
from tracekit.aws.client import Caller
from tracekit.aws.pull import paging
from tracekit.aws.pull.xray import pull_xray
from tracekit.pull import folder as folder_module
from tracekit.pull.folder import PullFolder, read_lines

TIME = {"start": pd.Timestamp(BEGUN, unit="s").isoformat(), "end": pd.Timestamp(BEGUN + 30_000, unit="s").isoformat()}


def traces(count=14):
    return [Trace(number, BEGUN + number * 2000) for number in range(1, count + 1)]


def pulled(folder, *what, **how):
    return pull_xray(folder, *what, **{"backoff_s": 0.0, "attempts": 4} | how)


def always(fault, operation=None):
    return lambda name, _: fault if operation in (None, name) else None


def once(fault, operation=None, times=1):
    left = [times]

    def faults(name, _):
        if operation in (None, name) and left[0]:
            left[0] -= 1
            return fault
        return None

    return faults


# -------------------------------------------------------------------- one fault at a time


@pytest.mark.parametrize("fault", ["throttle", "error", "html", "odd", "half", "cut", "reset"])
def test_a_fault_that_passes_is_waited_for(serve, tmp_path, fault):
    server = serve(traces(), faults=once(fault, "BatchGetTraces", 3))
    pull = pulled(tmp_path / "pulled", list(server.traces))
    assert pull.counts == {"returned": 14}
    assert pull.calls["retries"] == 3
    assert pull.calls.get("throttled", 0) == 3 * (fault == "throttle")
    assert pull.calls["BatchGetTraces"] == server.calls["BatchGetTraces"], "botocore retries nothing by itself"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            "throttle",
            r"found throttling \(ThrottledException: Rate exceeded\) at each of 4 attempts; rerun later with the same",
        ),
        ("error", r"found a server error \(500 InternalFailure: oops\) at each of 4 attempts"),
        ("html", r"found an invalid body .*<html>.*check for a proxy\) at each of 4 attempts"),
        ("odd", r"found an invalid body \(Expected `object`, got `int` - at `\$\[0\]`\)"),
        ("half", "found an invalid body"),
        ("cut", "found (an invalid body|a connection that failed)"),
        ("reset", r"found a connection that failed \(.*at each of 4 attempts \(request id unknown\)"),
        (
            "loop",
            "expected a new page of summaries in the window from 2025-10-09.*, found the NextToken of an earlier page",
        ),
        (
            "expired",
            "found 403 ExpiredTokenException.*the credentials have expired: renew them, then rerun with the same",
        ),
    ],
)
def test_a_fault_that_stays_ends_the_pull_with_its_reason(serve, tmp_path, fault, expected):
    serve(traces(), faults=always(fault, "GetTraceSummaries"))
    with pytest.raises(tk.PullError, match=expected) as told:
        pulled(tmp_path / "pulled", **TIME)
    assert told.value.operation == "GetTraceSummaries"
    assert told.value.request_id == ("" if fault in {"reset", "loop"} else "request-1")


def test_many_failed_calls_in_a_row_end_the_pull(serve, tmp_path):
    server = serve([Trace(number) for number in range(40)], faults=always("error", "BatchGetTraces"))
    with pytest.raises(tk.PullError, match=r"500 InternalFailure.*5 consecutive calls failed"):
        pulled(tmp_path / "pulled", list(server.traces), concurrency=1)
    assert 5 * 4 <= server.calls["BatchGetTraces"] <= 6 * 4, "a worker may have begun the next one"


def test_a_token_that_loops_is_a_failure_of_its_batch_only(serve, tmp_path):
    def faults(operation, body):
        return "loop" if operation == "BatchGetTraces" and trace_id(1) in body["TraceIds"] else None

    server = serve([Trace(number) for number in range(1, 11)], faults=faults, page=5)
    pull = pulled(tmp_path / "pulled", list(server.traces))
    assert pull.counts == {"returned": 10}, "the first page held all five"
    server = serve([Trace(number) for number in range(1, 11)], faults=faults, page=2)
    pull = pulled(tmp_path / "other", list(server.traces))
    assert pull.counts == {"returned": 10}, "what came is settled, the rest is asked for again"


@pytest.mark.parametrize("operation", ["GetTraceSummaries", "BatchGetTraces", "ListRetrievedTraces"])
def test_pages_that_never_end_are_given_up(serve, tmp_path, monkeypatch, operation):
    monkeypatch.setattr(paging, "MOST_IDLE", 20)
    server = serve([Trace(1, indexed=operation != "ListRetrievedTraces")], faults=always("endless", operation))
    server.destination = {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    message = "expected a page with new .*, found 20 consecutive pages without any"
    if operation == "GetTraceSummaries":
        with pytest.raises(tk.PullError, match=message):
            pulled(tmp_path / "pulled", **TIME)
    else:
        pull = pulled(tmp_path / "pulled", [trace_id(1)])
        (outcome,) = pull.accounts.to_dict("records")
        assert re.search(message, outcome["reason"]) or outcome["outcome"] == "returned", "what came is settled"
    assert server.calls[operation] < 200


@pytest.mark.parametrize("operation", ["GetTraceSummaries", "BatchGetTraces"])
@pytest.mark.parametrize("fault", ["deep", "deep error"])
def test_an_answer_that_nests_deeply_is_no_answer(serve, tmp_path, operation, fault):
    serve([Trace(1)], faults=always(fault, operation))
    asked = TIME if operation == "GetTraceSummaries" else {"trace_ids": [trace_id(1)]}
    with pytest.raises(tk.PullError, match=r"(?i)found an invalid body \(.*recursion.* at each of 4 attempts"):
        pulled(tmp_path / "pulled", **asked)


def test_a_login_page_on_the_way_to_a_retrieval_is_waited_for_too(serve, tmp_path):
    server = serve([Trace(1, indexed=False)], faults=once("html", "ListRetrievedTraces", 5))
    server.destination = {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    assert pulled(tmp_path / "pulled", [trace_id(1)]).counts == {"returned": 1}
    server = serve(
        [Trace(1, indexed=False)] + [Trace(n, indexed=False) for n in range(2, 6)],
        faults=always("loop", "ListRetrievedTraces"),
    )
    server.destination = {"Destination": "CloudWatchLogs", "Status": "ACTIVE"}
    pull = pulled(tmp_path / "other", list(server.traces), rounds=2)
    assert pull.accounts["reason"].str.contains("expected a new page of retrieved traces").all()


def test_a_token_of_yesterday_is_given_up(serve, tmp_path):
    server = serve(traces(), faults=lambda _, body: "expired" if "NextToken" in body else None)
    with pytest.raises(tk.PullError, match="ExpiredToken"):
        pulled(tmp_path / "pulled", **TIME)
    server.faults = lambda *_: None
    server.dead_tokens = True
    server.page = 100
    assert pulled(tmp_path / "pulled").counts == {"returned": 14}
    server.page = 2
    with pytest.raises(tk.PullError, match="400 InvalidRequestException: Invalid token"):
        pulled(tmp_path / "other", **TIME)


# -------------------------------------------------------------------- going on


def test_an_expired_pull_resumes(serve, tmp_path):
    count = iter(range(1000))
    server = serve(traces(), faults=lambda *_: "expired" if next(count) >= 12 else None)
    with pytest.raises(tk.PullError, match="the credentials have expired"):
        pulled(tmp_path / "pulled", **TIME)
    before = dict(server.answered)
    assert 0 < sum(before.values()) < 14
    kept = tk.read(tmp_path / "pulled")
    assert len(kept) <= sum(before.values())
    summaries = server.calls["GetTraceSummaries"]
    server.faults = lambda *_: None
    pull = pulled(tmp_path / "pulled")
    assert pull.counts == {"returned": 14}
    assert set(server.answered.values()) == {1}, "nothing that was answered was asked again"
    assert server.calls["GetTraceSummaries"] == summaries
    assert len(tk.read(pull.folder)) == 14
    again = pulled(tmp_path / "pulled", **TIME)
    assert again.counts == pull.counts
    assert again.calls.get("BatchGetTraces", 0) == 0


def test_another_pull_into_the_same_folder_is_refused(serve, tmp_path):
    serve(traces())
    pulled(tmp_path / "pulled", service="web", **TIME)
    with pytest.raises(tk.PullError, match=r"started in .* with service 'web', found 'cart'; choose another folder"):
        pulled(tmp_path / "pulled", service="cart", **TIME)
    pulled(tmp_path / "ids", [trace_id(1)])
    with pytest.raises(tk.PullError, match=r"expected trace_ids for .*, which was started with a list of ids"):
        pulled(tmp_path / "ids")


def test_a_folder_that_cannot_be_made_is_reported(serve, tmp_path):
    serve()
    (tmp_path / "file").write_text("")
    with pytest.raises(tk.PullError, match=r"expected a writable folder, found .*file"):
        pulled(tmp_path / "file", [trace_id(1)])


CHILD = """
import sys
from tracekit.aws.pull.xray import pull_xray
from tracekit.pull import workers
workers._PATIENCE_S = 0.3
try:
    pull_xray(sys.argv[1], start={start!r}, end={end!r}, backoff_s=0.01)
except KeyboardInterrupt:
    sys.exit(130)
""".format(**TIME)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_a_pull_that_is_killed_keeps_what_came(serve, tmp_path, number):
    """After 50 of the 72 answers, of which few are still to be stored, the next ones do not come before its end."""
    count, hanging, ended = iter(range(1000)), threading.Event(), threading.Event()

    def hang(operation, _):
        if operation != "BatchGetTraces" or next(count) < 50:
            return None
        hanging.set()
        ended.wait(120)
        return "reset"

    server = serve(traces(12), faults=hang, page=1)
    server.traces |= {one.id: one for one in (Trace(n, BEGUN + n) for n in range(100, 160))}
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD, str(tmp_path / "pulled")],
        env=os.environ | {"PYTHONPATH": str(Path(tk.__file__).parents[1])},
    )
    assert hanging.wait(120)
    child.send_signal(number)
    assert child.wait(120) == (130 if number == signal.SIGINT else -number)
    ended.set()
    if number == signal.SIGINT:
        kept = tk.read(tmp_path / "pulled")
        assert 0 < len(kept) < 72
        assert kept.sources["complete"].all()
    else:
        visible = [path.name for path in (tmp_path / "pulled").iterdir() if not path.name.startswith(".")]
        assert visible == [], "what is not whole has no name that reading would take"
    server.faults = lambda *_: None
    answered = dict(server.answered)
    server.answered.clear()
    with PullFolder(tmp_path / "pulled") as folder:
        settled = {one for entry in folder.entries() for one in entry.get("ids", ())}
    assert settled
    pull = pulled(tmp_path / "pulled")
    assert pull.counts == {"returned": 72}
    assert not settled & server.answered.keys()
    assert settled <= answered.keys()
    traces_ = tk.read(pull.folder)
    assert sorted(traces_.trace_ids) == sorted(pull.accounts.index)
    assert not (traces_.issues["code"] == "DUP_IDENTICAL").any()


# -------------------------------------------------------------------- two hundred schedules


@pytest.fixture(scope="module")
def session():
    return boto3.Session(
        "AKIAMARKERMARKER0001", "marker/secret+Key0002", "markerSessionToken0003", region_name="eu-west-1"
    )


def contents(folder):
    """Every segment document in the whole files of a folder, and whether any came twice."""
    found = []
    for file in sorted(folder.glob("traces-*.jsonl.zst")):
        for line in read_lines(file):
            traces = json.loads(line).get("Traces", [])  # none in a line of the ledger
            found += [part["Document"] for trace in traces for part in trace.get("Segments", [])]
    return sorted(found)


@pytest.mark.parametrize("block", range(8))
def test_every_id_has_an_outcome_or_the_pull_names_the_reason(serve, tmp_path, session, block):
    server = serve(traces())
    whole = sorted(text for one in server.traces.values() for text in one.documents)
    outcomes, stops = set(), []
    for seed in range(block * 25, block * 25 + 25):
        server.faults = schedule = Schedule(seed)
        folder = tmp_path / str(seed)
        by_time = seed % 2 == 0
        what = TIME if by_time else {"trace_ids": [*server.traces, trace_id(999)]}
        expected = dict.fromkeys(server.traces, "returned") | ({} if by_time else {trace_id(999): "not_found"})
        for _ in range(40):
            try:
                pull = pulled(folder, session=session, attempts=3, rounds=3, concurrency=1 + seed % 3, **what)
            except tk.PullError as error:
                outcomes.add("stopped")
                stops.append((str(error), error.operation))
                assert set(contents(folder)) <= set(whole)
                schedule.is_expired = False
                schedule.deadly = 0.0
            else:
                accounts = pull.accounts.set_index("xray_id")["outcome"].to_dict()
                assert accounts.keys() == expected.keys()
                left = {one for one, outcome in accounts.items() if outcome in {"failed", "unprocessed"}}
                assert all(accounts[one] == expected[one] for one in accounts.keys() - left)
                outcomes.add("left" if left else "all")
                if not left:
                    break
                schedule.share = 0.0
        else:
            pytest.fail(f"schedule {seed} never ended")
        assert contents(folder) == whole, f"schedule {seed}: the same set as undisturbed, nothing twice"
        assert not list(folder.glob(".*.part"))
        if seed % 25 == 0:
            assert sorted(tk.read(folder).trace_ids) == sorted(
                one.replace("1-", "", 1).replace("-", "") for one in server.traces
            )
    assert all("expected" in message and operation for message, operation in stops), stops
    assert outcomes >= {"stopped", "all"}, "the schedules reach both ends"


# -------------------------------------------------------------------- the folder


def test_data_after_the_journal_is_cut_off_and_lost_data_is_requested_again(tmp_path):
    with PullFolder(tmp_path / "a") as folder:
        folder.append("traces", [b'{"Traces":[1]}'], {"ids": {"a": "returned"}})
        folder.append("traces", [b'{"Traces":[2]}'], {"ids": {"b": "returned"}})
        folder.append("traces", [b'{"Traces":[3]}'])
    (file,) = folder.files("traces")
    assert len(list(read_lines(file))) == 3
    with PullFolder(tmp_path / "a") as folder:
        assert [entry["ids"] for entry in folder.entries()] == [{"a": "returned"}, {"b": "returned"}]
    assert len(list(read_lines(file))) == 2
    file.write_bytes(file.read_bytes()[:-3])
    journal = tmp_path / "a" / ".pull" / "journal.jsonl"
    journal.write_bytes(journal.read_bytes() + b'{"ids": {"c"')
    with PullFolder(tmp_path / "a") as folder:
        assert [entry["ids"] for entry in folder.entries()] == [{"a": "returned"}]
        folder.append("traces", [b'{"Traces":[4]}'], {"ids": {"d": "returned"}})
    assert [list(read_lines(file)) for file in folder.files("traces")] == [[b'{"Traces":[1]}\n'], [b'{"Traces":[4]}\n']]
    journal.write_bytes(journal.read_bytes().replace(b'{"ids"', b'["ids"', 1))
    for file in folder.files("traces")[1:]:
        file.unlink()
    with PullFolder(tmp_path / "a") as folder:
        assert list(folder.entries()) == []


ODD_ENTRIES = [
    {"file": "../../../victim", "end": 0},
    {"file": "traces-000001.jsonl.zst", "end": "5"},
    {"file": "traces-000001.jsonl.zst", "end": -5},
    {"file": ["traces-000001.jsonl.zst"], "end": 5},
    {"file": "traces-000009.jsonl.zst"},
    {"ids": ["a"]},
    {"ids": {"a": 5}},
    {"halved": "ab"},
    {"halved": [1]},
    {"window": [0, 1], "found": ["x"], "scanned": 1},
    {"window": {"a": 1}, "found": [], "scanned": 1, "next": ""},
    {"window": [0, 1], "found": 5, "scanned": 1, "next": ""},
    {"window": [0, 1], "found": [[]], "scanned": 1, "next": ""},
    [],
    None,
    "x",
]


def test_odd_entries_of_a_journal_are_forgotten_and_touch_no_other_file(tmp_path):
    with PullFolder(tmp_path / "a" / "b") as folder:
        folder.append("traces", [b'{"Traces":[1]}'], {"ids": {"a": "returned"}})
    victim = tmp_path / "victim"
    victim.write_text("keep me", encoding="utf-8")
    journal = tmp_path / "a" / "b" / ".pull" / "journal.jsonl"
    whole = journal.read_bytes()
    odd = [json.dumps(entry).encode() for entry in ODD_ENTRIES] + [b"\xff", b"[" * 100_000, b"9" * 5000]
    journal.write_bytes(b"\n".join(odd) + b"\n" + whole)
    with PullFolder(tmp_path / "a" / "b") as folder:
        assert [entry["ids"] for entry in folder.entries()] == [{"a": "returned"}]
    assert victim.read_text(encoding="utf-8") == "keep me"
    assert journal.read_bytes() == whole


@pytest.mark.parametrize("content", ["", "{", "[]", "5", '{"region": 5}', '{"window": [1]}', "[" * 100_000])
def test_a_plan_that_is_damaged_is_named(serve, tmp_path, content):
    serve([Trace(1)])
    (tmp_path / "a" / ".pull").mkdir(parents=True)
    (tmp_path / "a" / ".pull" / "plan.json").write_text(content, encoding="utf-8")
    with pytest.raises(
        tk.PullError, match=r"expected the options of a pull in .*plan\.json, found .*choose another folder"
    ):
        pulled(tmp_path / "a")


def test_opening_again_holds_one_entry_at_a_time(tmp_path):
    count = 5_000
    with PullFolder(tmp_path / "a") as folder:
        for number in range(count):
            folder.append("traces", [], {"ids": {f"{number:0100}": "returned"}})
    tracemalloc.start()
    try:
        with PullFolder(tmp_path / "a") as folder:
            assert sum(len(entry["ids"]) for entry in folder.entries()) == count
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 100 * count / 2, "far less than the ids alone"


def test_files_are_closed_when_large_and_keep_unprocessed_ids(tmp_path):
    with PullFolder(tmp_path / "a", largest=1) as folder:
        folder.append("traces", [b"{}"])
        folder.append("traces", [b"{}"], {"ids": {"a": "returned"}})
    with PullFolder(tmp_path / "a") as folder:
        assert [len(list(read_lines(file))) for file in folder.files("traces")] == [1, 1]
        assert [entry for entry in folder.entries() if entry] == [{"ids": {"a": "returned"}}]


def test_two_pulls_do_not_share_a_folder(tmp_path):
    with PullFolder(tmp_path / "a") as folder:
        folder.append("traces", [b"{}"], {"ids": {"a": "returned"}})
        with pytest.raises(tk.PullError, match=r"expected exclusive use of .*a, found another pull running in it"):
            PullFolder(tmp_path / "a")
    with PullFolder(tmp_path / "a") as folder:
        assert list(folder.entries()) == [{"ids": {"a": "returned"}}]


def test_on_windows_the_folder_is_held_as_well(tmp_path, monkeypatch):
    """msvcrt is not here: one that locks as fcntl does stands in for it, with the words that Windows wants."""
    asked = []

    def locking(descriptor, mode, count):
        asked.append((mode, count))
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(folder_module, "sys", SimpleNamespace(platform="win32"))
    monkeypatch.setitem(sys.modules, "msvcrt", SimpleNamespace(LK_NBLCK=2, locking=locking))
    with (
        PullFolder(tmp_path / "a"),
        pytest.raises(tk.PullError, match=r"expected exclusive use of .*a, found another pull running in it"),
    ):
        PullFolder(tmp_path / "a")
    PullFolder(tmp_path / "a").close()
    assert asked == [(2, 1)] * 3


# -------------------------------------------------------------------- sessions


def test_a_region_and_credentials_are_needed(monkeypatch):
    how = {"attempts": 1, "backoff_s": 0, "connections": 1}
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    with pytest.raises(tk.PullError, match="no AWS region: pass --region"):
        Caller(**how)
    for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY", "SESSION_TOKEN"):
        monkeypatch.delenv(f"AWS_{name}")
    with pytest.raises(tk.PullError, match=r"no AWS credentials found \(environment, profile, role\); test with"):
        Caller(region="eu-west-1", **how)
    with pytest.raises(tk.PullError, match=r"expected an AWS session with credentials, found .*nobody"):
        Caller(profile="nobody", **how)


def test_a_parameter_that_boto3_rejects_is_reported_at_once(serve):
    serve()
    caller = Caller(attempts=3, backoff_s=0, connections=1)
    with pytest.raises(tk.PullError, match="BatchGetTraces: Parameter validation failed"):
        caller.call("xray", "batch_get_traces", dict, TraceIds=7)
    caller.close()
    assert caller.region == "eu-west-1"


def test_credentials_are_in_nothing_that_is_left_behind(serve, tmp_path, markers, capfd):
    server = serve(traces(), faults=once("expired", "BatchGetTraces", 100))
    with pytest.raises(tk.PullError) as told:
        pulled(tmp_path / "pulled", **TIME)
    assert any(markers[2] in str(headers) for headers in server.headers), "the server did see them"
    server.faults = lambda *_: None
    pull = pulled(tmp_path / "pulled", **TIME)
    texts = [
        "".join(traceback.format_exception(told.value)),
        str(told.value),
        repr(pull),
        pull._repr_html_(),
        *capfd.readouterr(),
    ]
    texts += [pull.accounts.to_csv(), repr(vars(told.value))]
    texts += [
        path.read_bytes().decode("latin-1") for path in tmp_path.rglob("*") if path.is_file() and path.suffix != ".zst"
    ]
    texts += [b"".join(read_lines(path)).decode() for path in tmp_path.rglob("*.zst")]
    assert len(texts) > 10
    for marker in markers:
        assert not [text for text in texts if marker in text]
    assert "***" in str(told.value)


# -------------------------------------------------------------------- no room, and nobody who waits

FULL = """
import resource, sys
import tracekit as tk
from fake_xray import trace_id
resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), int(sys.argv[2])))
try:
    tk.pull_xray(sys.argv[1], [trace_id(n, 1_760_000_000 + n * 2000) for n in range(1, 15)], concurrency=3)
except tk.PullError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="sizes of files are limited on POSIX only")
@pytest.mark.parametrize("room", [0, 100, 400, 700, 1_000])
def test_a_full_disk_is_reported_and_written_files_are_complete(serve, tmp_path, room):
    server = serve(traces())
    path = os.pathsep.join([str(Path(tk.__file__).parents[1]), str(Path(__file__).parent)])
    program = [sys.executable, "-c", FULL, str(tmp_path / "pulled"), str(room)]
    ran = subprocess.run(program, capture_output=True, text=True, check=True, env={**os.environ, "PYTHONPATH": path})
    assert "pulled, found: File too large; free disk space, then rerun with the same folder" in ran.stdout
    assert ran.stderr == ""
    kept = list((tmp_path / "pulled").glob("traces-*"))
    came = tk.read(tmp_path / "pulled", progress=False) if kept else None
    assert came is None or set(came.issues["severity"]) <= {"info"}, "nothing that was written in part is there"
    assert not list((tmp_path / "pulled").glob(".*.part"))
    journal = tmp_path / "pulled" / ".pull" / "journal.jsonl"
    lines = journal.read_text().splitlines() if journal.exists() else []
    settled = {one for line in lines for one in json.loads(line).get("ids", ())}
    assert len(settled) == (0 if came is None else len(came.trace_ids))
    pull = pulled(tmp_path / "pulled", list(server.traces))
    assert pull.counts == {"returned": 14}
    assert len(tk.read(tmp_path / "pulled", progress=False).trace_ids) == 14


def test_a_file_that_nothing_fitted_into_is_not_left_behind(tmp_path, monkeypatch):
    write = folder_module._write

    def full(file, content):
        if "journal" in str(file.name):
            raise OSError(errno.ENOSPC, "No space left on device")
        write(file, content)

    with PullFolder(tmp_path) as folder:
        monkeypatch.setattr(folder_module, "_write", full)
        with pytest.raises(tk.PullError, match="No space left on device; free disk space"):
            folder.append("traces", [b'{"Traces":[]}'], {"ids": {"1-2-3": "returned"}})
    assert not list(tmp_path.glob("traces-*"))
    assert not list(tmp_path.glob(".*.part"))


def test_ctrl_c_does_not_wait_for_a_response_that_hangs(serve, tmp_path, monkeypatch):
    from tracekit.pull import workers  # noqa: PLC0415 - to be patient for a shorter time

    monkeypatch.setattr(workers, "_PATIENCE_S", 0.3)
    hanging, main = threading.Event(), threading.main_thread().ident

    def hang(name, _):
        if name == "BatchGetTraces" and not hanging.is_set():
            threading.Timer(0.2, signal.pthread_kill, [main, signal.SIGINT]).start()
            hanging.wait(300)

    server = serve(traces(), faults=hang)
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        pulled(tmp_path / "pulled", list(server.traces), concurrency=1)
    assert time.monotonic() - begun < 150, "the response would have come after 300 s"
    hanging.set()
    server.faults = lambda *_: None
    assert pulled(tmp_path / "pulled", list(server.traces)).counts == {"returned": 14}


def test_a_folder_that_was_closed_takes_nothing(tmp_path):
    folder = PullFolder(tmp_path / "pulled")
    folder.close()
    with pytest.raises(tk.PullError, match=r"expected .*pulled to be open, found it closed: this pull has ended"):
        folder.append("traces", [b"{}"])
