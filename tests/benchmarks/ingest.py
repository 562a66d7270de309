"""How fast recordings are read, and what follows from it: the asked and the measured figures, as one table.

``python tests/benchmarks/ingest.py`` prints all of it in about half an hour on two processors; ``--only`` chooses rows,
``--quick`` tries everything on small files.  Every figure is measured in a process of its own and is CPU seconds of one
core unless it says wall clock; the best of several runs is shown, and the median behind it.  Data is generated from a
seed into a temporary folder, which is removed, also after an interrupt.  Machines are noisy: compare within one run.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from dialects import DIALECTS
from made_spans import jaeger_trace, otlp_lines, zipkin_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
SHARED = REPOSITORY.parent / "shared"
TOOLS, CRISP, PROTOTYPE = SHARED / "tools", SHARED / "peers" / "crisp", SHARED / "prototypes" / "native"
RECORDING = REPOSITORY / "datasets" / "checkout-xray" / "traces.jsonl.zst"
IDS = re.compile(rb'(?<=-)[0-9a-f]{24}(?=\\?")|(?<=")[0-9a-f]{16}(?=\\?")')
REQUESTS = re.compile(rb'(request_id\\": \\")(.{5})')
RECORDED = 3_350  # spans of the recording of X-Ray
PER_FILE = 24  # spans of a Jaeger file


class Line(NamedTuple):
    """A line of the table."""

    what: str
    asked: str
    measured: str


class Skipped(Exception):  # noqa: N818 - no error
    """A row that cannot be measured here, and why."""


class Runs(NamedTuple):
    """What several processes measured."""

    found: list[dict[str, float]]

    def best(self, name: str = "cpu_s") -> float:
        """Return the lowest figure."""
        return min(one[name] for one in self.found)

    def median(self, name: str = "cpu_s") -> float:
        """Return the median figure."""
        return statistics.median(one[name] for one in self.found)

    @property
    def rate(self) -> float:
        """Spans per second."""
        return self.found[0]["span_count"] / self.best()

    def rates(self) -> str:
        """Return spans per second for people."""
        return f"{self.rate:,.0f} spans/s ({self.found[0]['span_count'] / self.median():,.0f})"

    def seconds(self, name: str = "cpu_s") -> str:
        """Return seconds for people."""
        return f"{self.best(name):.2f} s ({self.median(name):.2f})"


class Bench:
    """The generated files, each made when it is first needed, and the measuring.

    Parameters
    ----------
    folder
        Where files are generated.
    options
        Of the command.
    """

    def __init__(self, folder: Path, options: argparse.Namespace) -> None:
        self.folder = folder
        self.spans, self.compared, self.files = options.spans, options.compared, options.files
        self.runs, self.seed = options.runs, options.seed

    # ---------------------------------------------------------------- data

    @cached_property
    def large(self) -> Path:
        """A file of OTLP lines with all spans."""
        return self._otlp("large.jsonl", self.spans)

    @cached_property
    def plain(self) -> Path:
        """A file of OTLP lines with so many spans as slow readers can manage."""
        return self._otlp("plain.jsonl", self.compared)

    def _otlp(self, name: str, count: int) -> Path:
        path, generator = self.folder / name, TOOLS / "gen_otlp.py"
        if generator.is_file():
            run([sys.executable, str(generator), str(count), str(path), "--seed", str(self.seed)])
        else:
            with path.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in otlp_lines(count, self.seed))
        return path

    def jaeger(self, count: int, spans: int = PER_FILE) -> Path:
        """Return a folder of Jaeger files, one trace each."""
        folder, generator = self.folder / f"jaeger-{count}-{spans}", TOOLS / "gen_jaeger.py"
        if folder.is_dir():
            return folder
        if generator.is_file():
            chosen = ["--traces", str(count), "--spans", str(spans), "--seed", str(self.seed)]
            run([sys.executable, str(generator), *chosen, "--out", str(folder)])
        else:
            folder.mkdir()
            for number in range(count):
                answer = {"data": [jaeger_trace(spans, self.seed * count + number)]}
                (folder / f"{number}.json").write_text(json.dumps(answer), "utf-8")
        return folder

    @cached_property
    def jaeger_traces(self) -> list[dict[str, Any]]:
        """Traces of Jaeger with about as many spans as ``plain``."""
        folder = self.jaeger(max(self.compared // 100, 1), 100)
        return [json.loads(path.read_bytes())["data"][0] for path in sorted(folder.iterdir())]

    @cached_property
    def answers(self) -> list[bytes]:
        """Answers of X-Ray: the bundled recording, again and again with other ids."""
        from tracekit.pull.folder import read_lines  # noqa: PLC0415 - only this row needs it

        lines = [one for one in b"".join(read_lines(RECORDING)).splitlines() if b'"Traces"' in one]
        return [
            REQUESTS.sub(lambda f: f[1] + b"%05d" % n, IDS.sub(lambda f: b"%04x" % n + f[0][4:], one))  # noqa: B023 - at once
            for n in range(-(-self.compared // RECORDED))
            for one in lines
        ]

    def written(self, name: str, lines: Any) -> Path:
        """Return a file with these lines."""
        path = self.folder / name
        with path.open("wb") as file:
            for number, line in enumerate(lines):
                file.write(b"\n" * bool(number) + line)
        return path

    # ---------------------------------------------------------------- measuring

    def figure(self, what: str, path: Path, *more: Any, lane: str = "compiled", runs: int | None = None) -> Runs:
        """Return what processes of their own measure."""
        command = [sys.executable, str(HERE / "one_figure.py"), what, str(path), *map(str, more)]
        environment = environ() | {"TRACEKIT_LANE": lane}
        return Runs([json.loads(run(command, env=environment)) for _ in range(runs or self.runs)])

    def reading(self, path: Path, workers: int = 1, **options: Any) -> Runs:
        """Return what reading needs."""
        return self.figure("read", path, workers, **options)

    def wall(self, command: Sequence[str], runs: int | None = None, **options: Any) -> Runs:
        """Return the wall-clock times of a command."""
        found = []
        for _ in range(runs or self.runs):
            begun = time.perf_counter()
            run(command, **options)
            found.append({"wall_s": time.perf_counter() - begun})
        return Runs(found)


def environ() -> dict[str, str]:
    """Return the environment in which the package of this repository is found."""
    known = [str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])]
    return dict(os.environ) | {"PYTHONPATH": os.pathsep.join(known)}


def run(command: Sequence[str], **options: Any) -> str:
    """Return what a command prints; ``Skipped`` tells its last line if it fails."""
    try:
        options = {"env": environ()} | options
        return subprocess.run(command, check=True, capture_output=True, text=True, **options).stdout
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines() or [f"exit code {error.returncode}"]
        raise Skipped(f"it fails here: {said[-1][:100]}") from error


# -------------------------------------------------------------------- rows


def plain(bench: Bench) -> Iterator[Line]:
    """OTLP lines in the plain dialect, beside other ways to read them."""
    compiled = bench.reading(bench.plain)
    yield Line(f"OTLP lines, {bench.compared:,} spans", "", compiled.rates())
    python = bench.reading(bench.plain, lane="python")
    pandas = bench.figure("json_normalize", bench.plain, runs=1)
    for name, other, asked in (("the Python lane", python, 6), ("json_normalize", pandas, 60)):
        times = f"{compiled.rate / other.rate:.1f} times as fast"
        yield Line(f"  against {name}, {other.rate:,.0f} spans/s", f">= {asked} times", times)


def dialects(bench: Bench) -> Iterator[Line]:
    """Every readable dialect, and the slowest."""
    whole = bench.reading(bench.plain)
    shares = {}
    for name, dialect in DIALECTS.items():
        path = bench.written("dialect", dialect(bench.plain.read_bytes().splitlines()))
        found = bench.reading(path)
        shares[name] = found.rate / whole.rate
        missing = whole.found[0]["span_count"] - found.found[0]["span_count"]
        told = f"; {missing:,} spans are missing" if missing else ""
        yield Line(f"  {name}", "", f"{found.rates()}, {shares[name]:.0%}{told}")
        path.unlink()
    slowest = min(shares, key=shares.__getitem__)
    yield Line(f"slowest dialect: {slowest}", ">= 50% of plain", f"{shares[slowest]:.0%}")


def large(bench: Bench) -> Iterator[Line]:
    """The large file, with one and two processors."""
    one, two = (bench.reading(bench.large, workers) for workers in (1, 2))
    size = bench.large.stat().st_size / 1e6
    yield Line(f"one file of {size:,.0f} MB, {bench.spans:,} spans", "", one.rates())
    times = one.best("wall_s") / two.best("wall_s")
    seconds = f"{one.best('wall_s'):.2f} and {two.best('wall_s'):.2f} s"
    yield Line("  two processors against one, wall clock", ">= 1.7 times", f"{times:.2f} times ({seconds})")


def document(bench: Bench) -> Iterator[Line]:
    """One document on one line."""
    begin, end = b'{"resourceSpans":[', b"]}"
    groups = (line.strip().removeprefix(begin).removesuffix(end) for line in bench.plain.open("rb"))
    found = bench.reading(bench.written("document.json", [begin + b",".join(groups) + end]))
    share = found.rate / bench.reading(bench.plain).rate
    yield Line("one document on one line", ">= 50% of plain", f"{found.rates()}, {share:.0%}")


def xray(bench: Bench) -> Iterator[Line]:
    """X-Ray documents in lines and in one document."""
    traces = [trace for answer in bench.answers for trace in json.loads(answer)["Traces"]]
    shapes = {
        "lines": bench.answers,
        "one document": [json.dumps({"Traces": traces}, indent=1).encode()],
        "one document on one line": [json.dumps({"Traces": traces}).encode()],
    }
    shapes |= {f"documents: {name}": lines for name, lines in xray_documents(traces).items()}
    for name, lines in shapes.items():
        found = bench.reading(bench.written("answers.json", lines))
        yield Line(f"X-Ray, {name}", ">= 400,000 spans/s", found.rates())
    plain = bench.reading(bench.plain).rate
    for name, lines in xray_of_otel(bench.plain.read_bytes().splitlines()).items():
        found = bench.reading(bench.written("answers.json", lines))
        told = f"{found.rates()}, {found.rate / plain:.0%} of OTLP lines"
        yield Line(f"X-Ray, OTEL: {name}", ">= 300,000 spans/s, 50%", told)


def xray_of_otel(requests: list[bytes]) -> dict[str, list[bytes]]:
    """Return answers of ListRetrievedTraces with documents of OpenTelemetry: flat spans, or requests of OTLP."""
    complete, traces = {"RetrievalStatus": "COMPLETE", "TraceFormat": "OTEL"}, {}
    for document in DIALECTS["flat records of aws/spans"](requests):
        span = json.loads(document)
        trace = traces.setdefault(span["traceId"], {"Id": span["traceId"], "Duration": 0.5, "Spans": []})
        trace["Spans"].append({"Id": span["spanId"], "Document": document.decode()})
    flat = list(traces.values())
    whole = [
        {"Id": f"{n:032x}", "Spans": [{"Id": "0" * 16, "Document": one.decode()}]} for n, one in enumerate(requests, 1)
    ]
    answers = [complete | {"Traces": flat[at : at + 5]} for at in range(0, len(flat), 5)]
    return {
        "answers on lines": [json.dumps(one).encode() for one in answers],
        "one answer on one line": [json.dumps(complete | {"Traces": flat}).encode()],
        "one answer, indented": [json.dumps(complete | {"Traces": flat}, indent=1).encode()],
        "requests in one answer": [json.dumps(complete | {"Traces": whole}).encode()],
    }


def xray_documents(traces: list[dict[str, Any]]) -> dict[str, list[bytes]]:
    """Return the segment documents of traces, in every shape that they have outside of answers."""
    documents = [
        json.loads(one["Document"]) | {"trace_id": trace["Id"]} for trace in traces for one in trace["Segments"]
    ]
    opened = [
        trace | {"Segments": [one | {"Document": json.loads(one["Document"])} for one in trace["Segments"]]}
        for trace in traces
    ]
    retrieved = [{"Spans" if key == "Segments" else key: one for key, one in trace.items()} for trace in traces]
    written = [json.dumps(one).encode() for one in documents]
    bodies = [written[at : at + 20] for at in range(0, len(written), 20)]
    return {
        "one a line": written,
        "one list": [b"[" + b",".join(written) + b"]"],
        "one list, indented": [json.dumps(documents, indent=1).encode()],
        "indented, one after the other": [json.dumps(one, indent=1).encode() for one in documents],
        "as the daemon receives them": [b'{"format":"json","version":1}\n' + one for one in written],
        "bodies of PutTraceSegments": [
            json.dumps({"TraceSegmentDocuments": [one.decode() for one in some]}).encode() for some in bodies
        ],
        "objects in traces of the console": [json.dumps(one).encode() for one in opened],
        "an answer of ListRetrievedTraces": [
            json.dumps({"RetrievalStatus": "COMPLETE", "Traces": retrieved}, indent=1).encode()
        ],
        "answers of ListRetrievedTraces on lines": [
            json.dumps({"RetrievalStatus": "COMPLETE", "Traces": retrieved[at : at + 5]}).encode()
            for at in range(0, len(retrieved), 5)
        ],
    }


def jaeger(bench: Bench) -> Iterator[Line]:
    """Jaeger in one file and in many."""
    answer = {"data": bench.jaeger_traces, "total": 0, "limit": 0, "offset": 0, "errors": None}
    found = bench.reading(bench.written("jaeger.json", [json.dumps(answer).encode()]))
    yield Line("Jaeger, one file", ">= 300,000 spans/s", found.rates())
    for name, lines in elasticsearch(bench.jaeger_traces).items():
        found = bench.reading(bench.written("elasticsearch.json", lines))
        yield Line(f"Jaeger in Elasticsearch, {name}", ">= 300,000 spans/s", found.rates())
    for count in bench.files:
        found = bench.reading(bench.jaeger(count))
        yield Line(f"Jaeger, {count:,} files", ">= 300,000 spans/s", found.rates())


def elasticsearch(traces: list[dict[str, Any]]) -> dict[str, list[bytes]]:
    """Return the spans of traces as Jaeger stores them in Elasticsearch."""
    stored = [
        {key: one for key, one in span.items() if key not in {"processID", "warnings"}}
        | {"startTimeMillis": span["startTime"] // 1000, "process": trace["processes"][span["processID"]]}
        for trace in traces
        for span in trace["spans"]
    ]
    mapped = [
        one | {"tags": [], "tag": {tag["key"].replace(".", "@"): tag["value"] for tag in one["tags"]}} for one in stored
    ]
    hits = [
        {"_index": "jaeger-span-2026-11-24", "_id": f"{n}", "_score": 1.0, "_source": one}
        for n, one in enumerate(stored)
    ]
    answers = [{"took": 5, "hits": {"total": 1000, "hits": hits[at : at + 1000]}} for at in range(0, len(hits), 1000)]
    lines = {"a document a line": stored, "tags as a map": mapped, "a hit a line": hits, "an answer a line": answers}
    documents = {"one list": stored, "one answer": {"took": 5, "hits": {"total": len(hits), "hits": hits}}}
    return {name: [json.dumps(one).encode() for one in some] for name, some in lines.items()} | {
        f"{name}{how}": [json.dumps(one, indent=indent).encode()]
        for name, one in documents.items()
        for how, indent in ((" on one line", None), (", indented", 1))
    }


def zipkin(bench: Bench) -> Iterator[Line]:
    """Zipkin v2 and v1."""
    spans = [zipkin_span(span, trace["processes"]) for trace in bench.jaeger_traces for span in trace["spans"]]
    found = bench.reading(bench.written("zipkin.json", [json.dumps(spans).encode()]))
    yield Line("Zipkin v2, one list", ">= 300,000 spans/s", found.rates())
    old = list(map(zipkin_v1, spans))
    shapes = {
        "a span a line": [json.dumps(one).encode() for one in old],
        "a list a line": [json.dumps(old[at : at + 100]).encode() for at in range(0, len(old), 100)],
        "one list": [json.dumps(old).encode()],
        "one list, indented": [json.dumps(old, indent=1).encode()],
    }
    for name, lines in shapes.items():
        found = bench.reading(bench.written("zipkin.json", lines))
        yield Line(f"Zipkin v1, {name}", ">= 300,000 spans/s", found.rates())


def zipkin_v1(span: dict[str, Any]) -> dict[str, Any]:
    """Return a span of Zipkin as v1 has it."""
    local, begin = {"endpoint": span["localEndpoint"]}, span["timestamp"]
    words = {"CLIENT": ("cs", "cr"), "SERVER": ("sr", "ss")}.get(span.get("kind", ""), ())
    times = (begin, begin + span["duration"])
    far = [{"key": "sa", "value": True, "endpoint": {"serviceName": "far", "ipv4": "10.0.0.9", "port": 80}}]
    return {key: span[key] for key in ("traceId", "id", "parentId", "name", "timestamp", "duration") if key in span} | {
        "annotations": [{"timestamp": at, "value": word} | local for at, word in zip(times, words, strict=False)],
        "binaryAnnotations": [{"key": key, "value": text} | local for key, text in span["tags"].items()]
        + far * (span.get("kind") == "CLIENT"),
    }


def path(bench: Bench) -> Iterator[Line]:
    """From many Jaeger files to a critical path and a report, beside CRISP."""
    for count, asked in zip(bench.files, ("<= 0.6 of CRISP light", "<= 0.2 of CRISP light"), strict=False):
        folder = bench.jaeger(count)
        runs = bench.runs if count <= bench.files[0] else 1
        mine = bench.wall([sys.executable, "-m", "tracekit", "path", str(folder)], runs)
        page = bench.wall(report_of(bench, folder), runs)
        light, full = (crisp(bench, folder, runs, *mode) for mode in (["--lightMode"], []))
        share = f", {mine.best('wall_s') / light.best('wall_s'):.2f} of it" if isinstance(light, Runs) else ""
        what = f"{count:,} Jaeger files"
        yield Line(f"{what} to tracekit path, wall clock", asked, mine.seconds("wall_s") + share)
        yield Line(f"{what} to tracekit report, wall clock", "", page.seconds("wall_s"))
        for name, found in (("light", light), ("full", full)):
            told = found.seconds("wall_s") if isinstance(found, Runs) else found
            yield Line(f"  CRISP, {name}, wall clock", "", told)


def crisp(bench: Bench, folder: Path, runs: int, *mode: str) -> Runs | str:
    """Return the times of CRISP for a folder of Jaeger files, or why there are none."""
    if not (CRISP / "crisp" / "main.py").is_file():
        return "skipped: shared/peers/crisp is not there"
    copy, out = bench.folder / "copy", bench.folder / "crisp"
    root = json.loads(next(folder.iterdir()).read_bytes())["data"][0]
    first = next(span for span in root["spans"] if not span["references"])
    service = root["processes"][first["processID"]]["serviceName"]
    options = ["-a", first["operationName"], "-s", service, "-i", str(copy), "-o", str(out), "--parallelism", "2"]
    found = []
    for _ in range(runs):
        shutil.copytree(folder, copy)  # it writes into its input, and fails where it did before
        try:
            found += bench.wall([sys.executable, "-m", "crisp.main", *options, *mode], 1, cwd=CRISP).found
        except Skipped as reason:
            return f"skipped: {reason}"
        finally:
            shutil.rmtree(copy)
            shutil.rmtree(out, ignore_errors=True)
    return Runs(found)


def report_of(bench: Bench, source: Path) -> list[str]:
    """Return the command for a report."""
    return [sys.executable, "-m", "tracekit", "report", str(source), "-o", str(bench.folder / "report.html")]


def protobuf(bench: Bench) -> Iterator[Line]:
    """OTLP protobuf."""
    sys.path.append(str(HERE.parent / "loading"))
    try:
        from protobuf_made import message  # noqa: PLC0415 - needs the library of OpenTelemetry
    except ImportError as error:
        raise Skipped(f"{error.name} is not installed") from error
    target = bench.folder / "requests.binpb"
    with target.open("wb") as file, bench.plain.open() as lines:
        file.writelines(message(json.loads(line)).SerializeToString() for line in lines)
    for lane, asked in (("compiled", ">= 600,000 spans/s"), ("python", "")):
        yield Line(f"OTLP protobuf, {lane} lane", asked, bench.reading(target, lane=lane).rates())


def memory(bench: Bench) -> Iterator[Line]:
    """The highest memory above imports while the large file is read."""
    found = bench.reading(bench.large)
    told = f"{found.best('megabytes'):,.0f} MB ({found.median('megabytes'):,.0f})"
    yield Line(f"peak memory above imports, {bench.spans:,} spans", "<= 450 MB for 1,000,000", told)


def store(bench: Bench) -> Iterator[Line]:
    """Open a store and answer latency."""
    target = bench.folder / "large.parquet"
    run([sys.executable, str(HERE / "one_figure.py"), "save", str(bench.large), str(target)])
    found = bench.figure("store", target)
    what = f"store of {bench.spans:,} spans: open, latency"
    yield Line(f"{what}, without imports", "<= 0.25 s for 1,000,000", found.seconds())
    yield Line(f"{what}, with imports", "", found.seconds("with_imports_s"))


def report(bench: Bench) -> Iterator[Line]:
    """A report of the large file."""
    found = bench.wall(report_of(bench, bench.large))
    size = bench.large.stat().st_size / 1e6
    yield Line(f"tracekit report of {size:,.0f} MB, wall clock", "<= 4 s for 900 MB", found.seconds("wall_s"))


def writing(bench: Bench) -> Iterator[Line]:
    """Write OTLP lines, with each compression."""
    for end in ("jsonl", "jsonl.zst", "jsonl.gz"):
        found = bench.figure("write", bench.plain, bench.folder / f"out.{end}")
        yield Line(f"to_otlp without redaction, .{end}", "", found.rates())


def prototype(bench: Bench) -> Iterator[Line]:
    """The prototype of a scanner, as a reference for the machine."""
    if not (PROTOTYPE / "scan.cpp").is_file():
        raise Skipped("shared/prototypes/native is not there")
    if not shutil.which("g++"):
        raise Skipped("there is no g++")
    made = shutil.copytree(PROTOTYPE, bench.folder / "prototype")
    run(["g++", "-O3", "-std=c++17", "-shared", "-fPIC", "-o", "scan.so", "scan.cpp"], cwd=made)
    said = [run([sys.executable, "run.py", str(bench.plain)], cwd=made) for _ in range(bench.runs)]
    rates = sorted(int(found[1]) for one in said if (found := re.search(r"(\d+) spans/s", one)))
    told = f"{rates[-1]:,} spans/s ({statistics.median(rates):,.0f})"
    yield Line("prototype, which neither sorts nor finishes", "", told)


ROWS: dict[str, Callable[[Bench], Iterator[Line]]] = {
    "prototype": prototype,
    "plain": plain,
    "dialects": dialects,
    "large": large,
    "document": document,
    "xray": xray,
    "jaeger": jaeger,
    "zipkin": zipkin,
    "path": path,
    "protobuf": protobuf,
    "memory": memory,
    "store": store,
    "report": report,
    "writing": writing,
}


# -------------------------------------------------------------------- the command


def chosen(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of the command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=ROWS, default=list(ROWS), metavar="ROW", help=", ".join(ROWS))
    parser.add_argument("--spans", type=int, help="spans of the large file (default 1,000,000: 900 MB)")
    parser.add_argument("--compared", type=int, help="spans of the other files (default 100,000)")
    parser.add_argument("--files", type=int, nargs="+", help="numbers of Jaeger files (default 2,000 and 20,000)")
    parser.add_argument("--runs", type=int, help="runs of each figure (default 3)")
    parser.add_argument("--seed", type=int, default=1, help="seed of the data (default 1)")
    parser.add_argument(
        "--quick", action="store_true", help="small files and one run: tries the rows, measures nothing"
    )
    found = parser.parse_args(arguments)
    sizes = {"spans": 20_000, "compared": 5_000, "files": [50, 200], "runs": 1} if found.quick else {
        "spans": 1_000_000, "compared": 100_000, "files": [2_000, 20_000], "runs": 3}  # fmt: skip
    for name, size in sizes.items():
        if getattr(found, name) is None:
            setattr(found, name, size)
    return found


def compiler() -> Line:
    """Return the line about the compiler."""
    import tracekit as tk  # noqa: PLC0415 - after the options

    build = tk.describe_build()
    return Line("compiler", "", f"{build.compiler or 'none'} ({build.lane} lane: {build.reason})")


def main() -> int:
    """Print the table."""
    options = chosen()
    sys.path.insert(0, str(REPOSITORY))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    print(f"{'':<58}{'asked':>25}   measured: best (median), CPU seconds of one core unless it says wall clock")
    print("{:<58}{:>25}   {}".format(*compiler()), flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="tracekit-bench-") as folder:
            os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # imports as of an installed package, which is compiled
            os.environ["PYTHONPYCACHEPREFIX"] = str(Path(folder) / "bytecode")
            bench = Bench(Path(folder), options)
            for name in options.only:
                try:
                    for line in ROWS[name](bench):
                        print("{:<58}{:>25}   {}".format(*line), flush=True)
                except Skipped as reason:
                    print(f"{name:<58}{'':>25}   skipped: {reason}", flush=True)
    except KeyboardInterrupt:
        print("interrupted; the temporary folder was removed", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
