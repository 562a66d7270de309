"""The compiled lane of X-Ray takes what the Python lane takes, and gives the same."""

import json
import os

import pytest
from loading.native.compared import narrow
from loading.xray.mutated_answers import CORPUS, EXPORTS, RICH
from loading.xray.test_fast import ALONE, PLAIN, RECORDING, TRACE, line, segment
from made_sets import assert_same_content

from tracekit.loading import native, read, reading
from tracekit.loading.records import json_pull
from tracekit.loading.records.depth import DepthMeter
from tracekit.loading.xray import compiled, fast
from tracekit.pull.folder import read_lines

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")


def in_lane(lane, data, **options):
    """Read in one lane."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(os.environ, native.SWITCH, lane)
        return read(data, progress=False, **options)


def same(data, **options):
    """Read in both lanes, compare, and return what was read."""
    made = in_lane("compiled", data, **options)
    assert_same_content(made, in_lane("python", data, **options))
    return made


@pytest.fixture
def careful(monkeypatch):
    """The numbers of the lines that the Python lane is given from here on."""
    given = []
    real = fast.Scanner.scan

    def scan(self, lines):
        some = list(lines)
        given.extend(one.number for one in some)
        return real(self, some)

    monkeypatch.setattr(fast.Scanner, "scan", scan)
    monkeypatch.setenv(native.SWITCH, "compiled")
    return given


def test_the_recording_is_taken_whole(careful):
    traces = read(b"".join(read_lines(RECORDING)), progress=False)
    assert (len(traces.spans), careful) == (3333, [])
    assert_same_content(traces, in_lane("python", b"".join(read_lines(RECORDING))))


@pytest.mark.parametrize("name", PLAIN)
def test_what_sdks_write_is_taken(name, careful):
    assert len(read(line(PLAIN[name]) + line(segment(7)), progress=False).spans) >= 2
    assert careful == []


def test_a_document_with_everything_is_taken(careful):
    data = line(RICH, UnprocessedTraceIds=["1-2"], NextToken="t", ResponseMetadata={"RequestId": "r"})
    traces = read(data, progress=False)
    assert careful == []
    assert_same_content(traces, in_lane("python", data))
    assert traces.spans["name"].tolist().count("Initialization") == 1
    assert "XR_UNPROCESSED" in set(traces.issues["code"])


@pytest.mark.parametrize("name", ALONE)
def test_one_oddity_hands_back_its_own_line_only(name, careful):
    odd = ALONE[name]
    entry = {"Id": "", "Document": odd if isinstance(odd, str) else json.dumps(odd)}
    read(line(segment(5)) + line(segment(6), entry) + line(segment(7)), progress=False)
    assert careful == [2]


def alone(*lines_, **more):
    """The traces of answers, on lines of their own."""
    traces = [trace | more for one in lines_ for trace in json.loads(one)["Traces"]]
    return b"".join(json.dumps(trace).encode() + b"\n" for trace in traces)


def test_traces_on_lines_of_their_own_are_taken(monkeypatch):
    taken = []
    real = compiled.Scanner.scan_whole
    monkeypatch.setattr(
        compiled.Scanner, "scan_whole", lambda self, lines: taken.append(real(self, lines)) or taken[-1]
    )
    data = alone(*b"".join(read_lines(RECORDING)).splitlines()[:3]) + alone(
        line(RICH), Duration=1.5, LimitExceeded=True
    )
    traces = same(data)
    assert taken == [True]
    assert traces.sources["dialects"].tolist() == [""]
    assert traces.issues["code"].tolist().count("XR_LIMIT_EXCEEDED") == 1
    assert (traces.columns.facts.reported_duration_ns > 0).all()


@pytest.mark.parametrize("name", [*PLAIN, *ALONE])
def test_traces_on_lines_of_their_own_are_read_alike(name):
    one = {**PLAIN, **ALONE}[name]
    entry = {"Id": "", "Document": one if isinstance(one, str) else json.dumps(one)}
    good = alone(line(segment(5)))
    for data in (
        good + alone(line(segment(6), entry)),
        b"  " + good + b"\n" + good.replace(b"5", b"7"),
        good + b"{}\n",
    ):
        same(data)


@pytest.mark.parametrize("path", sorted(EXPORTS.glob("xray*.json")), ids=lambda path: path.name)
def test_exports(path):
    same(path)


@pytest.mark.parametrize("indent", [None, 1])
@pytest.mark.parametrize("window", [700, 1 << 20])
def test_one_document(indent, window, careful, monkeypatch):
    narrow(monkeypatch, window)
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    traces = [trace for one in CORPUS for trace in json.loads(one).get("Traces", [])]
    traces[3:3] = [7, {"Id": TRACE}, {"Id": TRACE, "Segments": [{"Id": "", "Document": "\u00e9"}]}]
    data = json.dumps({"Traces": traces, "NextToken": "t"}, indent=indent, ensure_ascii=False).encode()
    made = same(data, time_unit="ns")
    assert made.sources["record_count"].tolist() == [len(traces)]
    assert len(careful) < len(traces)


def test_a_document_is_read_in_runs(careful, monkeypatch):
    monkeypatch.setattr(reading, "shape", lambda *_, **__: "document")
    runs = []
    real = json_pull.JsonPull.run
    monkeypatch.setattr(json_pull.JsonPull, "run", lambda *given: (runs.append(found := real(*given)), found)[1])
    traces = [json.loads(line(segment(n)))["Traces"][0] for n in range(1, 60)]
    data = json.dumps({"Traces": traces}).encode()
    assert len(read(data, progress=False).spans) == 59
    assert (runs, careful) == ([False, True], [])  # it is no OTLP


@pytest.mark.parametrize("cut", [1, 2, 3, 7, 50])
def test_depth_is_that_of_the_python_lane(cut, monkeypatch):
    text = rb'{"a\\\"]": [[1, "}\"[", {"b": "\\"}]], "c": []}]] "'
    found = {}
    for lane in native.LANES:
        monkeypatch.setenv(native.SWITCH, lane)
        meter = DepthMeter(limit=0)
        pieces = [text[at : at + cut] for at in range(0, len(text), cut)]
        found[lane] = [(meter.feed(piece), meter.depth, meter.in_string, meter.escaped) for piece in pieces]
    assert found["compiled"] == found["python"]
