"""Speed and memory of a pull beside bare clients of the same server, and of reading what was pulled.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks/test_pull_speed.py``;
TRACEKIT_BENCH_TRACES=50000 gives the figures asked for.  Machines are noisy: compare within one run.

"The server's own time" has two readings, and both are printed: the CPU seconds that the server's process used while it
answered (it says so itself; no client is in them, nor is waiting), and how long the barest client takes to get all
answers and throw them away (what the server can give with somebody at the other end of the socket).
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

import boto3
import pandas as pd
import pytest
from botocore.config import Config
from xray_server import SEGMENTS, trace_id

from tracekit import read
from tracekit.aws.pull.folder import read_lines
from tracekit.aws.pull.pull import pull_xray

TRACES = int(os.environ.get("TRACEKIT_BENCH_TRACES", "5000"))
READ = min(TRACES, 5000)  # what is read again; plain means hold no more
AT_ONCE = 4  # as the pull does
PULL = """
import sys
from pathlib import Path
from tracekit.aws.pull.pull import pull_xray
import boto3, pandas
from xray_server import trace_id
def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
before = peak()
pulled = pull_xray(sys.argv[1], [trace_id(n) for n in range(int(sys.argv[2]))], yes=True)
assert pulled.counts == {"returned": int(sys.argv[2])}
print(peak() - before)
"""


@pytest.fixture(scope="module")
def server():
    """The port of a server in a process of its own."""
    here = Path(__file__).parent
    program = [sys.executable, str(here / "xray_server.py")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(here.parents[1]), str(here)])}
    with subprocess.Popen(
        program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        yield int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture(autouse=True)
def credentials(monkeypatch, server):
    """Credentials that open nothing, and the server in the place of AWS."""
    for name, value in {
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server}",
    }.items():
        monkeypatch.setenv(name, value)


@pytest.fixture(scope="module")
def walls():
    """Seconds by what was done."""
    return {}


def timed(work):
    """Return (seconds, CPU seconds of this process) of some work."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - wall, time.process_time() - cpu


def side_by_side(ask):
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


def server_cpu(port):
    """Return the CPU seconds that the server has used."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/cpu") as answer:
        return json.load(answer)


def told(figure, what, asked, wall, cpu):
    figure(what, asked, f"{wall:.2f} s, {1e3 * cpu / TRACES * 5:.2f} ms CPU a call")


def test_bare_http(server, walls, figure):
    def ask():
        connection = stack.enter_context(closing(http.client.HTTPConnection("127.0.0.1", server)))

        def one(ids):
            connection.request("POST", "/Traces", json.dumps({"TraceIds": ids}))
            assert connection.getresponse().read().startswith(b'{"Traces":[')

        return one

    with ExitStack() as stack:
        walls["http"], cpu = timed(lambda: side_by_side(ask))
    told(figure, f"http.client, {TRACES:,} traces thrown away", "", walls["http"], cpu)


@pytest.mark.parametrize("is_parsed", [True, False])
def test_bare_boto3(walls, figure, is_parsed):
    """The floor of whatever asks through boto3, with its own parsing of the answer and without."""
    sizes = []

    def thrown_away(response_dict, **_):
        sizes.append(len(response_dict["body"]))
        response_dict["body"] = b"{}"

    with closing(boto3.client("xray", config=Config(user_agent="tracekit"))) as client:
        if not is_parsed:
            client.meta.events.register("before-parse", thrown_away)
        wall, cpu = timed(lambda: side_by_side(lambda: lambda ids: client.batch_get_traces(TraceIds=ids)))
    name = "boto3" if is_parsed else "boto3 without its parser"
    walls[name] = wall
    told(figure, f"{name}, thrown away", "", wall, cpu)


def test_pull(server, walls, tmp_path, figure):
    ids = [trace_id(number) for number in range(TRACES)]
    before = server_cpu(server)
    walls["pull"], cpu = timed(lambda: pull_xray(tmp_path / "pulled", ids, concurrency=AT_ONCE, yes=True))
    own = server_cpu(server) - before
    told(figure, "pull", "", walls["pull"], cpu)
    told(figure, "  the server's own CPU meanwhile", "", own, own)
    figure("  against the server's own CPU", "<= 1.25 times", f"{walls['pull'] / own:.2f} times as long")
    figure("  against http.client", "<= 1.25 times", f"{walls['pull'] / walls['http']:.2f} times as long")
    for name in ("boto3", "boto3 without its parser"):
        figure(f"  against {name}", "", f"{walls['pull'] / walls[name]:.2f} times as long")


def test_peak_memory_of_a_pull(tmp_path, figure):
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    peaks = {}
    for count in (TRACES // 5, TRACES):
        program = [sys.executable, "-c", PULL, str(tmp_path / str(count)), str(count)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(program, check=True, capture_output=True, text=True, env=environment)
        peaks[count] = int(done.stdout.split()[-1]) / 1e3
    less, more = peaks.values()
    figure(f"peak memory of a pull ({TRACES // 5:,}: {less:,.0f} MB)", "flat", f"{more:,.0f} MB")


@pytest.fixture(scope="module")
def pulled(tmp_path_factory, server):
    """A folder of pulled traces."""
    folder = tmp_path_factory.mktemp("pulled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server}")
        for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_DEFAULT_REGION"):
            patch.setenv(name, "none")
        pull_xray(folder, [trace_id(number) for number in range(READ)], yes=True)
    return folder


def loops(folder):
    """Return the spans of a pulled folder by plain means: json, loops, a frame."""
    rows = []
    for file in sorted(folder.glob("*.jsonl.zst")):
        for line in read_lines(file):
            for trace in json.loads(line)["Traces"]:
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


def test_reading_what_was_pulled(pulled, figure):
    spans = []
    _, cpu = timed(lambda: spans.append(read(pulled, progress=False)))
    count = len(spans[0].columns.spans)
    figure(f"read: {count:,} (sub)segments", ">= 150,000 spans/s", f"{count / cpu:,.0f} spans/s")
    figure("  segment documents", "", f"{READ * SEGMENTS / cpu:,.0f} documents/s")
    frames = []
    _, plain = timed(lambda: frames.append(loops(pulled)))
    assert len(frames[0]) == spans[0].sources["span_count"].sum()
    figure("  against json + loops + DataFrame", "", f"{plain / cpu:.1f} times as fast")
