"""Speed and memory of ``tk.pull`` beside the barest client of the same server, which throws the answers away.

TRACEKIT_BENCH_TRACES=20000 gives the figures asked for.  Machines are noisy: compare within one run.
"""

import http.client
import os
import queue
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from tempo_server import trace_id

import tracekit as tk

TRACES = int(os.environ.get("TRACEKIT_BENCH_TRACES", "5000"))
AT_ONCE = 8
PULL = """
import sys
from pathlib import Path
import tracekit as tk
from tempo_server import trace_id
def peak():
    return next(int(line.split()[1]) for line in Path("/proc/self/status").open() if line.startswith("VmHWM"))
before = peak()
ids = [trace_id(n) for n in range(int(sys.argv[3]))]
pulled = tk.pull("tempo", sys.argv[1], folder=sys.argv[2], trace_ids=ids, concurrency=8, yes=True)
assert pulled.counts == {"returned": int(sys.argv[3])}
print(peak() - before)
"""


DELAY_S = 0.01


@pytest.fixture(scope="module", params=[0.0, DELAY_S])
def delay_s(request):
    """Seconds that the server needs for an answer: as good as none, or as long as reading from storage."""
    return request.param


@pytest.fixture(scope="module")
def port(delay_s):
    """A server in a process of its own."""
    program = [sys.executable, str(Path(__file__).with_name("tempo_server.py")), str(delay_s)]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        yield int(process.stdout.readline())
        process.terminate()


def bare(port):
    """Get all answers at once and throw them away."""
    todo = queue.SimpleQueue()
    for number in range(TRACES):
        todo.put(number)

    def work():
        connection = http.client.HTTPConnection("127.0.0.1", port)
        while True:
            try:
                number = todo.get_nowait()
            except queue.Empty:
                connection.close()
                return
            connection.request("GET", f"/api/v2/traces/{trace_id(number)}")
            connection.getresponse().read()

    workers = [threading.Thread(target=work) for _ in range(AT_ONCE)]
    for one in workers:
        one.start()
    for one in workers:
        one.join()


def test_pull(port, delay_s, tmp_path, figure):
    begun = time.perf_counter()
    bare(port)
    server_s = time.perf_counter() - begun
    ids = [trace_id(number) for number in range(TRACES)]
    begun = time.perf_counter()
    url = f"http://127.0.0.1:{port}"
    pulled = tk.pull("tempo", url, folder=tmp_path / "pulled", trace_ids=ids, concurrency=AT_ONCE, yes=True)
    wall_s = time.perf_counter() - begun
    assert pulled.counts == {"returned": TRACES}
    figure(
        f"pull of {TRACES:,} traces of 50 spans, 8 at once, {delay_s * 1e3:.0f} ms an answer",
        "<= 1.25 times",
        f"{wall_s:.1f} s, {wall_s / server_s:.2f} times the barest client ({server_s:.1f} s)",
    )


def test_peak_memory_of_a_pull(port, delay_s, tmp_path, figure):
    if delay_s:
        pytest.skip("memory does not depend on the time of an answer")
    if not Path("/proc/self/status").is_file():
        pytest.skip("peak memory is read from /proc, which this system does not have")
    peaks = {}
    for count in (TRACES // 5, TRACES):
        program = [sys.executable, "-c", PULL, f"http://127.0.0.1:{port}", str(tmp_path / str(count)), str(count)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
        done = subprocess.run(program, check=True, capture_output=True, text=True, env=environment)
        peaks[count] = int(done.stdout.split()[-1]) / 1e3
    less, more = peaks.values()
    figure(f"tempo: peak memory of a pull ({TRACES // 5:,}: {less:,.0f} MB)", "flat", f"{more:,.0f} MB")
