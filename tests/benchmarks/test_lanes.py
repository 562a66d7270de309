"""Reading all formats in the compiled lane, beside the Python lane, json_normalize and a prototype, in one run.

Run with ``python -m pytest -o addopts=--import-mode=importlib tests/benchmarks/test_lanes.py``.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from base64 import b64encode
from pathlib import Path

import pandas as pd
import pytest
from bench_size import COMPARED, SPANS
from protobuf_made import protobuf
from test_speed import peak_megabytes

import tracekit as tk
from tracekit import read
from tracekit.loading import native
from tracekit.pull.folder import read_lines

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")

KINDS = ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"]
STATUS = ["UNSET", "OK", "ERROR"]
ROUNDS = 3
RECORDING = Path(__file__).parents[2] / "datasets" / "checkout-xray" / "traces.jsonl.zst"
SHARED = Path(__file__).parents[3] / "shared"
GENERATOR, CRISP = SHARED / "tools" / "gen_jaeger.py", SHARED / "peers" / "crisp" / "crisp"
COPIES = 30  # of the recording: 100,000 spans
PLAIN = {}  # spans/s of the lanes, for the ratios


def base64_of(name, value):
    """Ids as protobuf JSON has them."""
    return (
        b64encode(bytes.fromhex(value)).decode() if name.endswith(("traceId", "spanId", "SpanId")) and value else value
    )


def enum_names(name, value):
    """Enumerations as protobuf JSON has them."""
    if name == "kind":
        return f"SPAN_KIND_{KINDS[value]}"
    return f"STATUS_CODE_{STATUS[value]}" if name == "code" else value


def numbers(name, value):
    """64-bit integers as JSON numbers."""
    return int(value) if name.endswith("UnixNano") or name == "intValue" else value


def null_added(_, value):
    """A span with members that are null or unknown."""
    return value | {"traceState": None, "links": None, "newMember": {"a": [1]}} if "spanId" in value else value


DIALECTS = {
    "base64 ids": (base64_of, str),
    "enum names": (enum_names, str),
    "numbers for 64-bit integers": (numbers, str),
    "snake_case": (None, lambda name: re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name)),
    "null and unknown members": (null_added, str),
    "base64 ids, enum names, snake_case": (
        lambda name, value: enum_names(name, base64_of(name, value)),
        lambda name: re.sub(r"[A-Z]", lambda found: "_" + found[0].lower(), name),
    ),
    "legacy instrumentationLibrarySpans": (
        None,
        lambda name: {"scopeSpans": "instrumentationLibrarySpans", "scope": "instrumentationLibrary"}.get(name, name),
    ),
}


def written(value, change, rename, name=""):
    """A JSON value in a dialect."""
    if isinstance(value, list):
        return [written(one, change, rename) for one in value]
    if isinstance(value, dict):
        made = {rename(key): written(content, change, rename, key) for key, content in value.items()}
        return change(name, made) if change is null_added else made
    return change(name, value) if change and change is not null_added else value


def seconds(path, lane, clock=time.process_time, **options):
    """The shortest of some readings in one lane."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, native.SWITCH, lane)
        took = []
        for _ in range(ROUNDS):
            begun = clock()
            count = len(read(path, progress=False, **options).columns.spans)
            took.append(clock() - begun)
        return min(took), count


def test_plain_lines_in_both_lanes(compared, figure):
    figure("compiler", "", tk.describe_build().compiler[:26])
    for lane in native.LANES:
        took, count = seconds(compared, lane, workers=1)
        assert count == COMPARED
        PLAIN[lane] = count / took
    figure("compiled lane, to a TraceSet", "", f"{PLAIN['compiled']:,.0f} spans/s")
    times = PLAIN["compiled"] / PLAIN["python"]
    figure("  against the Python lane", ">= 6 times", f"{times:.1f} times as fast")


def test_large_file(recording, figure):
    took, count = seconds(recording, "compiled", workers=1)
    PLAIN["large"] = count / took
    figure(f"compiled lane, {SPANS:,} spans", "", f"{PLAIN['large']:,.0f} spans/s")


def test_against_json_normalize(compared, figure):
    begun = time.process_time()
    requests = [json.loads(line) for line in compared.read_bytes().splitlines()]
    spans = [s for r in requests for g in r["resourceSpans"] for p in g["scopeSpans"] for s in p["spans"]]
    pd.json_normalize(spans), pd.json_normalize(spans, "attributes")
    times = PLAIN["compiled"] * (time.process_time() - begun) / COMPARED
    figure("  against json_normalize", ">= 60 times", f"{times:.0f} times as fast")


def test_against_the_prototype(compared, shared, tmp_path, figure):
    sources = shared / "prototypes" / "native"
    if not (sources / "scan.cpp").is_file() or not shutil.which("g++"):
        pytest.skip("the prototype in shared/prototypes/native, or g++, is not here")
    shutil.copytree(sources, tmp_path / "made")
    build = ["g++", "-O3", "-std=c++17", "-shared", "-fPIC", "-o", "scan.so", "scan.cpp"]
    subprocess.run(build, cwd=tmp_path / "made", check=True)
    runs = [
        subprocess.run(
            [sys.executable, "run.py", str(compared)], cwd=tmp_path / "made", check=True, capture_output=True, text=True
        ).stdout
        for _ in range(ROUNDS)
    ]
    best = max(int(re.search(r"(\d+) spans/s", run)[1]) for run in runs)
    figure("  prototype, which neither sorts nor finishes", "", f"{best:,} spans/s")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_dialects(dialect, compared, tmp_path, figure):
    path = tmp_path / "dialect.jsonl"
    change, rename = DIALECTS[dialect]
    with path.open("w") as file:
        for line in compared.open():
            file.write(json.dumps(written(json.loads(line), change, rename), separators=(",", ":")) + "\n")
    took, count = seconds(path, "compiled", workers=1)
    assert count == COMPARED
    share = COMPARED / took / PLAIN["compiled"]
    figure(f"  {dialect}", ">= half of the plain", f"{COMPARED / took:,.0f} spans/s, {share:.0%}")


def test_two_threads(recording, figure):
    one, two = (seconds(recording, "compiled", time.perf_counter, workers=count)[0] for count in (1, 2))
    figure("two threads against one, wall clock", ">= 1.7 times", f"{one / two:.2f} times ({one:.2f}, {two:.2f} s)")


def test_peak_memory(recording, figure):
    peak = peak_megabytes(f"read({str(recording)!r}, progress=False)")
    figure("peak memory above import", "<= 450 MB", f"{peak:,.0f} MB")


def test_protobuf(compared, tmp_path, figure):
    path = tmp_path / "requests.binpb"
    with path.open("wb") as file, compared.open() as lines:
        for line in lines:
            file.write(protobuf(json.loads(line)))
    for lane in native.LANES:
        took, count = seconds(path, lane, workers=1)
        assert count == COMPARED
        asked = ">= 600,000 spans/s" if lane == "compiled" else ""
        figure(f"OTLP protobuf, {lane} lane", asked, f"{COMPARED / took:,.0f} spans/s")


IDS = re.compile(rb'(?<=-)[0-9a-f]{24}(?=\\?")|(?<=")[0-9a-f]{16}(?=\\?")')
REQUESTS = re.compile(rb'(request_id\\": \\")(.{5})')


@pytest.fixture(scope="module")
def answers():
    """Answers of X-Ray from the bundled recording, again and again with other ids."""
    lines = [one for one in b"".join(read_lines(RECORDING)).splitlines() if b'"Traces"' in one]
    return [
        REQUESTS.sub(lambda f: f[1] + b"%05d" % n, IDS.sub(lambda f: b"%04x" % n + f[0][4:], one))  # noqa: B023 - at once
        for n in range(COPIES)
        for one in lines
    ]


@pytest.mark.parametrize("shape", ["lines", "one document", "one line"])
def test_xray(shape, answers, tmp_path, figure):
    path = tmp_path / "answers.json"
    if shape == "lines":
        path.write_bytes(b"\n".join(answers))
    else:
        traces = [trace for answer in answers for trace in json.loads(answer)["Traces"]]
        path.write_text(json.dumps({"Traces": traces}, indent=None if shape == "one line" else 1))
    rates = {}
    for lane in native.LANES:
        took, count = seconds(path, lane, workers=1)
        assert count > COPIES * 3_000
        rates[lane] = count / took
    times = rates["compiled"] / rates["python"]
    figure(f"X-Ray, {shape}", ">= 400,000 or 6 times", f"{rates['compiled']:,.0f} spans/s, {times:.1f} times")


def jaeger_answers(folder, *options):
    """Answers of Jaeger as a generator writes them."""
    if not GENERATOR.is_file():
        pytest.skip(f"the generator of the benchmark's files is not there: {GENERATOR.name} in shared/tools")
    subprocess.run([sys.executable, str(GENERATOR), *options, "--out", str(folder)], check=True, capture_output=True)
    return [json.loads(path.read_bytes())["data"][0] for path in sorted(folder.iterdir())]


def both_lanes(what, path, asked, figure):
    """Read in both lanes, and print the figures of the compiled one."""
    rates = {}
    for lane in native.LANES:
        took, count = seconds(path, lane, workers=1)
        rates[lane] = count / took
    times = rates["compiled"] / rates["python"]
    figure(what, asked, f"{rates['compiled']:,.0f} spans/s, {times:.1f} times")


def test_jaeger_and_zipkin(tmp_path, figure):
    traces = jaeger_answers(tmp_path / "traces", "--traces", "1000")
    answer, zipkin = tmp_path / "answer.json", tmp_path / "zipkin.json"
    answer.write_text(json.dumps({"data": traces, "total": 0, "limit": 0, "offset": 0, "errors": None}))
    both_lanes("Jaeger, one file", answer, ">= 300,000 spans/s", figure)
    spans = [zipkin_span(span, trace["processes"]) for trace in traces for span in trace["spans"]]
    zipkin.write_text(json.dumps(spans))
    both_lanes("Zipkin v2, one list", zipkin, ">= 300,000 spans/s", figure)
    zipkin.write_text("".join(json.dumps(span) + "\n" for span in spans))
    both_lanes("Zipkin v2, a span a line", zipkin, "", figure)


def zipkin_span(span, processes):
    """A span of Jaeger as Zipkin writes it."""
    tags = {tag["key"]: str(tag["value"]) for tag in span["tags"]}
    kind = tags.pop("span.kind").upper()
    return {
        "traceId": span["traceID"],
        "id": span["spanID"],
        "name": span["operationName"],
        "timestamp": span["startTime"],
        "duration": span["duration"],
        "localEndpoint": {"serviceName": processes[span["processID"]]["serviceName"], "ipv4": "10.0.0.7"},
        "tags": tags,
        **({"parentId": span["references"][0]["spanID"]} if span["references"] else {}),
        **({} if kind == "INTERNAL" else {"kind": kind}),
    }


def test_many_small_files_of_jaeger(tmp_path, figure):
    folder = tmp_path / "traces"
    jaeger_answers(folder, "--traces", "2000", "--spans", "24")
    both_lanes("Jaeger, 2,000 files", folder, ">= 300,000 spans/s", figure)
    code = f"import tracekit as tk; tk.critical_path(tk.read({str(folder)!r}, progress=False))"
    took = wall([sys.executable, "-c", code])
    figure("  to a critical path, with imports, wall clock", "", f"{took:.2f} s")
    if not (CRISP / "main.py").is_file():
        figure("  CRISP, light", "", "not there: shared/peers/crisp")
        return
    copy = shutil.copytree(folder, tmp_path / "copy")  # it writes into its input
    root = json.loads(next(folder.iterdir()).read_bytes())["data"][0]
    first = next(span for span in root["spans"] if not span["references"])
    service = root["processes"][first["processID"]]["serviceName"]
    options = ["-a", first["operationName"], "-s", service, "-i", str(copy), "-o", str(tmp_path / "out")]
    command = [sys.executable, "-m", "crisp.main", *options, "--parallelism", "2", "--lightMode"]
    try:
        peer = wall(command, cwd=CRISP.parent)
    except subprocess.CalledProcessError as error:
        figure("  CRISP, light", "", f"does not run here: {error.stderr.strip().splitlines()[-1][:60]}")
        return
    figure("  CRISP, light, wall clock", "<= 0.6 of it", f"{peer:.2f} s: {took / peer:.2f} of it")


def wall(command, **options):
    """The shortest wall-clock time of a program, in seconds."""
    took = []
    for _ in range(ROUNDS):
        begun = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True, text=True, **options)
        took.append(time.perf_counter() - begun)
    return min(took)


@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.zst", "out.jsonl.gz"])
def test_writing(name, compared, tmp_path, figure):
    traces = read(compared, progress=False)
    took = []
    for _ in range(ROUNDS):
        begun = time.process_time()
        traces.to_otlp(tmp_path / name)
        took.append(time.process_time() - begun)
    figure(f"to_otlp, {name.removeprefix('out')}", "", f"{COMPARED / min(took):,.0f} spans/s")
