import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import otlp_made as made
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_sets import assert_same_meaning

from tracekit.errors import LoadError
from tracekit.loading import ahead, read
from tracekit.loading.building.ledger import TOTALS
from tracekit.loading.convert import convert
from tracekit.loading.paths import STORE_MARKER
from tracekit.loading.records.lines import line_chunks

per_example = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    """Chunks of 2 kB, so that a small source has many."""
    monkeypatch.setattr(ahead, "line_chunks", partial(line_chunks, size=2000))


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def part_count(path):
    return len(json.loads((path / STORE_MARKER).read_text())["parts"])


def noisy(count, traces, *, seed=0):
    """Lines of spans of so many traces in any order, with everything that settling has to say something about."""
    rng = np.random.default_rng(seed)
    spans = []
    for number in range(count):
        trace, own = int(rng.integers(1, traces + 1)), int(rng.integers(1, 30))
        start = made.START + int(rng.integers(-50, 50))
        span = made.span(
            traceId=f"{trace:032x}",
            spanId=f"{own:016x}",
            parentSpanId=f"{int(rng.integers(1, 40)):016x}" if rng.random() < 0.8 else None,
            name=f"op {number % 7}",
            startTimeUnixNano="0" if rng.random() < 0.02 else str(start),
            endTimeUnixNano="0" if rng.random() < 0.02 else str(start + int(rng.integers(-9, 90))),
            attributes=[made.text("user", f"u{int(rng.integers(0, 60))}"), made.attribute("n", {"intValue": number})],
            events=[{"name": "retry", "timeUnixNano": str(start), "attributes": [made.text("why", f"w{number % 5}")]}],
            links=[{"traceId": f"{trace + 1:032x}", "spanId": made.SPAN}] if rng.random() < 0.1 else None,
        )
        spans += [span] * (2 if rng.random() < 0.1 else 1)
    requests = [
        made.request(
            *spans[at : at + 3], resource=made.resource(f"service {at % 4}"), scope={"name": f"scope {at % 3}"}
        )
        for at in range(0, len(spans), 3)
    ]
    requests.insert(len(requests) // 2, b"noise")
    return made.lines(*requests)


# -------------------------------------------------------------------- one run


def test_what_fits_in_one_run_is_exactly_what_read_and_save_make(tmp_path):
    (tmp_path / "a.jsonl").write_bytes(noisy(200, 9))
    assert convert(tmp_path / "a.jsonl", tmp_path / "a.parquet") == tmp_path / "a.parquet"
    read(tmp_path / "a.jsonl").save(tmp_path / "b.parquet")
    assert files(tmp_path / "a.parquet") == files(tmp_path / "b.parquet")


def test_stores_are_made_one(tmp_path):
    sources = [noisy(60, 9), noisy(50, 7, seed=1)]
    stores = [read(data).save(tmp_path / f"{number}.parquet") for number, data in enumerate(sources)]
    convert(stores, tmp_path / "both.parquet")
    assert_same_meaning(read(tmp_path / "both.parquet"), read(stores))
    convert(stores[0], stores[0])
    assert_same_meaning(read(stores[0]), read(sources[0]))


# -------------------------------------------------------------------- many runs


@pytest.mark.parametrize("spans_at_once", [1, 40, 150])
def test_many_runs_give_the_set_that_one_gives(tmp_path, spans_at_once):
    paths = [tmp_path / "a.jsonl", tmp_path / "b.jsonl"]
    paths[0].write_bytes(noisy(400, 25))
    paths[1].write_bytes(noisy(100, 30, seed=1))
    convert(paths, tmp_path / "a.parquet", spans_at_once=spans_at_once)
    found, expected = read(tmp_path / "a.parquet"), read(paths)
    assert part_count(tmp_path / "a.parquet") > 2
    assert_same_meaning(found, expected)
    assert made.counts(found) == made.counts(expected)
    assert min(made.counts(found)[1:]) > 0
    told = found.issues[found.issues["code"].isin(TOTALS)]
    assert len(told) > 12
    assert not told.duplicated(["source_id", "code"]).any()


@per_example
@given(
    st.lists(st.tuples(st.integers(1, 80), st.integers(1, 9), st.integers(0, 99)), min_size=1, max_size=3),
    st.integers(1, 60),
)
def test_many_runs_of_anything_give_the_set_that_one_gives(tmp_path, sources, spans_at_once):
    blobs = [noisy(count, traces, seed=seed) for count, traces, seed in sources]
    convert(blobs, tmp_path / "a.parquet", spans_at_once=spans_at_once)
    assert_same_meaning(read(tmp_path / "a.parquet"), read(blobs))


def test_no_trace_is_in_two_parts(tmp_path):
    convert(noisy(500, 40), tmp_path / "a.parquet", spans_at_once=60)
    parts = sorted((tmp_path / "a.parquet").glob("part-*"))
    found = [pq.read_table(part / "spans.parquet", columns=["trace_lo"])["trace_lo"].to_pylist() for part in parts]
    assert len(parts) > 5
    assert sum(len(set(traces)) for traces in found) == len(set().union(*found)) == 40
    names = [pq.read_table(part / "names.parquet")["text"].to_pylist() for part in parts]
    assert all(len(part) <= 7 for part in names)


def test_a_document_is_cut_into_runs_between_its_groups(tmp_path):
    groups = [json.loads(line)["resourceSpans"][0] for line in noisy(90, 9).splitlines() if line != b"noise"]
    document = made.pretty({"resourceSpans": groups})
    convert(document, tmp_path / "a.parquet", spans_at_once=20)
    assert part_count(tmp_path / "a.parquet") > 2
    assert_same_meaning(read(tmp_path / "a.parquet"), read(document))


@pytest.mark.parametrize("cut", [0.3, 0.6, 0.95])
def test_a_cut_document_gives_the_same_in_runs(tmp_path, cut):
    groups = [json.loads(line)["resourceSpans"][0] for line in noisy(90, 9).splitlines() if line != b"noise"]
    document = made.pretty({"resourceSpans": groups})
    document = document[: int(len(document) * cut)]
    convert(document, tmp_path / "a.parquet", spans_at_once=5)
    found = read(tmp_path / "a.parquet")
    assert_same_meaning(found, read(document))
    assert found.sources["complete"].tolist() == [False]


def test_a_source_that_cannot_be_read_is_an_issue_among_others_in_any_run(tmp_path):
    blobs = [noisy(30, 5), b"<html></html>", noisy(30, 5, seed=1), b"", noisy(10, 5, seed=2)]
    convert(blobs, tmp_path / "a.parquet", spans_at_once=20)
    found = read(tmp_path / "a.parquet")
    assert_same_meaning(found, read(blobs))
    assert found.sources["complete"].tolist() == [True, False, True, False, True]


def test_issues_are_reported_once_as_they_are_found(tmp_path):
    found = []
    convert(noisy(300, 20), tmp_path / "a.parquet", spans_at_once=30, on_issue=found.append)
    expected = []
    read(noisy(300, 20), on_issue=expected.append)
    assert found == expected


# -------------------------------------------------------------------- times


def timed(trace, start):
    return made.span(traceId=f"{trace:032x}", startTimeUnixNano=str(start), endTimeUnixNano=str(start + 5))


SECONDS = made.START // 10**9


def test_the_unit_of_times_is_voted_on_over_all_runs(tmp_path):
    blobs = [
        made.lines(made.request(timed(1, SECONDS), timed(2, SECONDS + 1))),
        made.lines(made.request(*(timed(trace, made.START) for trace in range(3, 9)))),
    ]
    data = b"".join(blobs)
    for spans_at_once in (1, 100):
        convert([data], tmp_path / "a.parquet", spans_at_once=spans_at_once)
        found = read(tmp_path / "a.parquet")
        assert_same_meaning(found, read([data]))
        assert made.counts(found) == (8, 6, 0, 2)
        assert made.told(found, "TIME_UNIT")["issue_count"].tolist() == [2]


@pytest.mark.parametrize("spans_at_once", [1, 100])
def test_other_units_are_refused_unless_named(tmp_path, spans_at_once):
    data = made.lines(*(made.request(timed(trace, SECONDS + trace)) for trace in range(1, 40)))
    with pytest.raises(LoadError, match=r"TIME_UNIT .*found 39 start times .*read it with time_unit='s'"):
        convert(data, tmp_path / "a.parquet", spans_at_once=spans_at_once)
    assert list(tmp_path.iterdir()) == []
    convert(data, tmp_path / "a.parquet", spans_at_once=spans_at_once, time_unit="s")
    assert_same_meaning(read(tmp_path / "a.parquet"), read(data, time_unit="s"))


# -------------------------------------------------------------------- refusals and interruptions


class Untouched:
    name = "untouched"

    def read(self, size=-1):
        assert size == 0, "read though there is no place for the store"
        return b""

    def seekable(self):
        return False


@pytest.mark.parametrize("name", ["a.txt", "folder"])
def test_a_target_that_is_no_store_is_reported_before_anything_is_read(tmp_path, name):
    (tmp_path / "a.txt").write_text("mine")
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileExistsError, match=r"cannot replace .*, which is a (file|folder without)"):
        convert(Untouched(), tmp_path / name)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "morse"}, "expected format .*, found 'morse'"),
        ({"time_unit": "h"}, "expected time_unit ns, us, ms or s, found 'h'"),
        ({"spans_at_once": 0}, "expected spans_at_once of 1 or more, found 0"),
    ],
)
def test_bad_arguments_are_named(tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        convert(noisy(1, 1), tmp_path / "a.parquet", **options)


@pytest.mark.parametrize("data", [noisy(200, 9), noisy(200, 9).replace(b"noise\n", b"")])
def test_strict_stops_at_the_first_bad_record_and_leaves_no_file(tmp_path, data):
    with pytest.raises(LoadError, match=r"JSON_SYNTAX|PARENT_SELF"):
        convert(data, tmp_path / "a.parquet", strict=True, spans_at_once=20)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("code", ["JSON_SYNTAX", "DUP_IDENTICAL", "MULTI_ROOT"])
def test_an_interruption_leaves_the_old_store_and_nothing_else(tmp_path, code):
    def interrupt(issue):
        if issue.code == code:
            assert len(list(tmp_path.iterdir())) > 1
            raise KeyboardInterrupt

    convert(noisy(10, 3), tmp_path / "a.parquet")
    before = files(tmp_path)
    with pytest.raises(KeyboardInterrupt):
        convert(noisy(300, 9), tmp_path / "a.parquet", spans_at_once=20, on_issue=interrupt)
    assert files(tmp_path) == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.parquet"]


# -------------------------------------------------------------------- memory

CHILD = """
import functools, io, resource, sys
import numpy, pandas, pyarrow.parquet
from tracekit.loading import ahead
from tracekit.loading.convert import convert

LINE = 50


class Spans(io.RawIOBase):
    # lines of spans that are made when they are read: every one in another trace and with a text of its own

    def __init__(self, first, count):
        self.rest, self.made = iter(range(first, first + count, LINE)), b""

    def readable(self):
        return True

    def readinto(self, buffer):
        while len(self.made) < len(buffer):
            at = next(self.rest, None)
            if at is None:
                break
            spans = ",".join(
                f'{{"traceId":"{number + 1:032x}","spanId":"{number + 1:016x}","name":"x","startTimeUnixNano":"1",'
                f'"endTimeUnixNano":"2","attributes":[{{"key":"k","value":{{"stringValue":"{number:0300}"}}}}]}}'
                for number in range(at, at + LINE)
            )
            self.made += f'{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{spans}]}}]}}]}}\\n'.encode()
        size = min(len(buffer), len(self.made))
        buffer[:size], self.made = self.made[:size], self.made[size:]
        return size


def peak(*sources):
    path = convert(list(sources), sys.argv[1], spans_at_once=7_000, progress=False)
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


ahead.line_chunks = functools.partial(ahead.line_chunks, size=1 << 20)
print(peak(Spans(0, 20_000)), peak(*(Spans(number * 20_000, 20_000) for number in range(5))))
"""


def test_memory_does_not_grow_with_the_source(tmp_path):
    path = tmp_path / "a.parquet"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)],
        capture_output=True,
        text=True,
        check=True,
        env={"PYTHONPATH": str(Path(__file__).parents[2])},
        timeout=120,
    )
    short, long = map(int, done.stdout.split())
    marker = json.loads((path / STORE_MARKER).read_text())
    assert marker["span_count"] == 100_000
    assert len(marker["parts"]) > 14
    assert long - short < 50  # MB, what the allocator leaves in pieces; ``read`` needs 140 MB more for the longer one
