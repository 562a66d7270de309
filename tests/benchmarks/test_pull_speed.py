"""Speed and memory of a pull beside bare clients of the same server, and of reading what was pulled.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks/test_pull_speed.py``;
TRACEKIT_BENCH_TRACES=50000 gives the figures asked for.  Machines are noisy: compare within one run.

"The server's own time" has two readings, and both are printed: the CPU seconds that the server's process used while it
answered (it says so itself; no client is in them, nor is waiting), and how long the barest client takes to get all
answers and throw them away (what the server can give with somebody at the other end of the socket).  There are two
servers: the X-Ray of the tests, which puts an answer together from documents when it is asked (``recorded_server``),
and one that has all answers ready (``xray_server``), so that nearly all of the time is the client's.
"""

import http.client
import json
import os
import queue
import subprocess
import sys
import threading
import time
import urllib.request
from contextlib import ExitStack, closing
from pathlib import Path
from typing import NamedTuple

import boto3
import pandas as pd
import pytest
from botocore.config import Config
from xray_server import SEGMENTS, trace_id

from tracekit import read
from tracekit.aws.pull.xray import pull_xray
from tracekit.pull.folder import read_lines

TRACES = int(os.environ.get("TRACEKIT_BENCH_TRACES", "5000"))
PLAIN = min(TRACES, 5000)  # what plain means read; they hold no more
AT_ONCE = 4  # as the pull does
PULL = """
import sys
from pathlib import Path
from tracekit.aws.pull.xray import pull_xray
import boto3, pandas
from xray_server import trace_id
def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
before = peak()
pulled = pull_xray(sys.argv[1], [trace_id(n) for n in range(int(sys.argv[2]))], yes=True)
assert pulled.counts == {"returned": int(sys.argv[2])}
print(peak() - before)
"""


class Server(NamedTuple):
    """A server in a process of its own, and the seconds that were spent on it."""

    name: str
    port: int
    walls: dict

    def cpu(self):
        """The CPU seconds that it has used."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/cpu") as answer:
            return json.load(answer)


@pytest.fixture(scope="module", params=["recorded_server", "xray_server"])
def server(request):
    """Each of the two servers."""
    here = Path(__file__).parent
    program = [sys.executable, str(here / f"{request.param}.py")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here)])}
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield Server(request.param, int(process.stdout.readline()), {})
        process.stdin.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, server):
    """Credentials that open nothing, and the server in the place of AWS."""
    for name, value in around(server).items():
        monkeypatch.setenv(name, value)


def around(server):
    """The environment of whoever asks it."""
    return {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.port}",
    }


def timed(work):
    """Return (seconds, CPU seconds of this process) of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def parallel(ask):
    """Ask for all traces, five at once, in as many threads as a pull has; ``ask()`` makes what a thread asks with."""
    batches = queue.SimpleQueue()
    for low in range(0, TRACES, 5):
        batches.put([trace_id(number) for number in range(low, min(low + 5, TRACES))])

    def work():
        one = ask()
        while True:
            try:
                one(batches.get_nowait())
            except queue.Empty:
                return

    threads = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def told(figure, server, what, wall, cpu):
    server.walls[what] = wall
    figure(f"{server.name}: {what}", "", f"{wall:.2f} s, {1e3 * cpu / TRACES * 5:.2f} ms CPU a call")


def test_bare_http(server, figure):
    def ask():
        connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server.port)))

        def one(ids):
            connection.request("POST", "/Traces", json.dumps({"TraceIds": ids}))
            assert connection.getresponse().read().startswith(b'{"Traces":[')

        return one

    with ExitStack() as stack:
        told(figure, server, "http.client", *timed(lambda: parallel(ask)))


@pytest.mark.parametrize("is_parsed", [True, False])
def test_bare_boto3(server, figure, is_parsed):
    """The floor of whatever asks through boto3, with its own parsing of the answer and without."""
    sizes = []

    def thrown_away(response_dict, **_):
        sizes.append(len(response_dict["body"]))
        response_dict["body"] = b"{}"

    with closing(boto3.client("xray", config=Config(user_agent="tracekit"))) as client:
        if not is_parsed:
            client.meta.events.register("before-parse", thrown_away)
        spent = timed(lambda: parallel(lambda: lambda ids: client.batch_get_traces(TraceIds=ids)))
    told(figure, server, "boto3" if is_parsed else "boto3 without its parser", *spent)


@pytest.mark.parametrize("at_once", [AT_ONCE, 2 * AT_ONCE])
def test_pull(server, tmp_path, figure, at_once):
    """Twice the calls at once fill the server's time while answers are written; X-Ray itself would throttle."""
    ids = [trace_id(number) for number in range(TRACES)]
    before = server.cpu()
    wall, cpu = timed(lambda: pull_xray(tmp_path / "pulled", ids, concurrency=at_once, yes=True))
    own = server.cpu() - before
    others = [pair for pair in server.walls.items() if not pair[0].startswith("pull")]
    told(figure, server, f"pull of {TRACES:,}, {at_once} calls at once", wall, cpu)
    for name, seconds in [("its own CPU meanwhile", own), *others]:
        asked = "<= 1.25 times" if name in {"its own CPU meanwhile", "http.client"} else ""
        figure(f"  against {name}, {seconds:.2f} s", asked, f"{wall / seconds:.2f} times as long")


def test_peak_memory_of_a_pull(server, tmp_path, figure):
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    peaks = {}
    for count in (TRACES // 5, TRACES):
        program = [sys.executable, "-c", PULL, str(tmp_path / str(count)), str(count)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(program, check=True, capture_output=True, text=True, env=environment)
        peaks[count] = int(done.stdout.split()[-1]) / 1e3
    less, more = peaks.values()
    figure(f"{server.name}: peak memory ({TRACES // 5:,}: {less:,.0f} MB)", "flat", f"{more:,.0f} MB")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory, server):
    """Folders of so many pulled traces, by their number."""
    if server.name != "xray_server":
        pytest.skip("what is read is the same from both servers")
    folders = {count: tmp_path_factory.mktemp(f"pulled{count}") for count in {PLAIN, TRACES}}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in around(server).items():
            patch.setenv(name, value)
        for count, folder in folders.items():
            pull_xray(folder, [trace_id(number) for number in range(count)], yes=True)
    return folders


def loops(folder):
    """Return the spans of a pulled folder by plain means: json, loops, a frame."""
    rows = []
    for file in sorted(folder.glob("*.jsonl.zst")):
        for line in read_lines(file):
            for trace in json.loads(line).get("Traces", []):
                for entry in trace["Segments"]:
                    root = json.loads(entry["Document"])
                    todo = [(root, root.get("parent_id"))]
                    while todo:
                        part, parent = todo.pop()
                        row = {"trace_id": trace["Id"], "parent_id": parent, "service": root["name"]}
                        for key, value in part.items():
                            if isinstance(value, dict):
                                row.update((f"{key}.{name}", content) for name, content in value.items())
                            elif key != "subsegments":
                                row[key] = value
                        rows.append(row)
                        todo += [(inner, part["id"]) for inner in part.get("subsegments", ())]
    return pd.DataFrame(rows)


@pytest.mark.parametrize("workers", [1, None])
def test_reading_what_was_pulled(pulled, figure, workers):
    """Where the folder is large, that is from some 15,000 traces on, as many processes as there are processors."""
    found = []
    wall, _ = timed(lambda: found.append(read(pulled[TRACES], progress=False, workers=workers)))
    count, files = len(found[0].columns.spans), len(found[0].sources)
    figure(
        f"read: {count:,} (sub)segments, {files} files, workers={workers}",
        ">= 150,000 spans/s",
        f"{count / wall:,.0f} spans/s",
    )
    figure("  segment documents", "", f"{TRACES * SEGMENTS / wall:,.0f} documents/s")


def test_reading_by_plain_means(pulled, figure):
    found, frames = [], []
    _, cpu = timed(lambda: found.append(read(pulled[PLAIN], progress=False, workers=1)))
    _, plain = timed(lambda: frames.append(loops(pulled[PLAIN])))
    assert len(frames[0]) == found[0].sources["span_count"].sum()
    figure("  against json + loops + DataFrame, one process", "", f"{plain / cpu:.1f} times as fast")
