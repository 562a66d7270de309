"""Chunks that other threads scan ahead: the same result, whatever the number of threads."""

import threading
from functools import partial

import pytest
from made_sets import assert_identical
from otlp_made import attribute, ids, line, lines, request, resource, span, text

from tracekit.errors import LoadError
from tracekit.loading import ahead, native, read
from tracekit.loading.records.lines import line_chunks

pytestmark = pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")


@pytest.fixture(autouse=True)
def _compiled(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "compiled")


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(ahead, "line_chunks", partial(line_chunks, size=3000, max_line=20_000))


def regular(number):
    made = span(**ids(number), name=f"n{number % 9}", attributes=[text("k", f"v{number % 7}"), text("u", str(number))])
    return line(request(made, resource=resource(f"s{number % 3}")))


def odd(number):
    """Lines for every way to be read."""
    kinds = [
        line(request(span(**ids(number), kind="server"))),
        line(request(span(**ids(number), attributes=[attribute("k", {"arrayValue": {"values": 5}})]))),
        line(request(span(**ids(number), startTimeUnixNano=2**53 + number))),
        b"\0" * 20,
        b"not JSON",
        b"",
        line(request(span(**ids(number), attributes=[text("long", "x" * 30_000)]))),  # too long for a chunk
        line(request(span(**ids(number), kind=99))),
        line({"resourceMetrics": []}),
    ]
    return kinds[number % len(kinds)]


def mixed(count):
    return b"\n".join(odd(n // 5) if n % 5 == 3 else regular(n) for n in range(count))


@pytest.mark.usefixtures("small_chunks")
@pytest.mark.parametrize("threads", [2, 3, 8])
def test_any_number_of_threads_gives_the_same_bit_for_bit(threads):
    data = mixed(400)
    assert_identical(read(data, workers=threads), read(data, workers=1))


@pytest.mark.usefixtures("small_chunks")
def test_the_threads_work_and_end(monkeypatch):
    seen = {"scan": set(), "learn": set()}

    class Watched:
        def __getattr__(self, name):
            return getattr(native.extension, name)

        def scan(self, *args):
            seen["scan"].add(threading.current_thread().name.partition("_")[0])
            return native.extension.scan(*args)

        def learn(self, *args):
            seen["learn"].add(threading.current_thread().name.partition("_")[0])
            return native.extension.learn(*args)

    monkeypatch.setattr(native, "compiled", Watched)
    assert len(read(lines(*map(regular, range(200))), workers=2).spans) == 200
    assert all("tracekit-scan" in threads for threads in seen.values())
    assert not [one for one in threading.enumerate() if one.name.startswith("tracekit-scan")]


@pytest.mark.usefixtures("small_chunks")
def test_what_was_learned_of_a_chunk_that_another_scanner_takes_is_kept(monkeypatch):
    def taken(_, whole):
        return b'"n: 7"' in bytes(whole.data)

    monkeypatch.setattr("tracekit.loading.zipkin.compiled.Scanner.begins", lambda *_: True)
    monkeypatch.setattr("tracekit.loading.zipkin.compiled.Scanner.scan_whole", taken)
    made = [
        span(**ids(n), name=f"n: {n // 20}", attributes=[text("a", str(n)), text("b", f"v{n % 50}")])
        for n in range(400)
    ]
    data = lines(*map(request, made))
    one, two = (read(data, workers=threads) for threads in (1, 3))
    assert 0 < len(one.spans) < 400
    for key in ("a", "b"):
        assert two.attribute(key).tolist() == one.attribute(key).tolist()


def test_one_chunk_starts_no_thread(monkeypatch):
    monkeypatch.setattr(ahead, "ThreadPoolExecutor", None)
    assert len(read(lines(*map(regular, range(20))), workers=4).spans) == 20


@pytest.mark.usefixtures("small_chunks")
def test_the_threads_end_when_reading_fails(monkeypatch):
    def failing(*_):
        raise LoadError("expected a sound file")

    monkeypatch.setattr("tracekit.loading.otlp.compiled.Scanner._load", failing)
    with pytest.raises(LoadError, match="expected a sound file"):
        read(lines(*map(regular, range(200))), workers=2)
    assert not [one for one in threading.enumerate() if one.name.startswith("tracekit-scan")]
