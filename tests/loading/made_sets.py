"""Random small sets, and what it means for two sets to be the same."""

from dataclasses import fields, is_dataclass

import numpy as np
import otlp_made as made
import pandas as pd
import pyarrow as pa
from hypothesis import strategies as st

from tracekit.columns import Columns
from tracekit.loading import read
from tracekit.loading.building.builder import Builder, Event, Link
from tracekit.loading.building.ledger import Position
from tracekit.loading.building.trace_set import to_trace_set
from tracekit.schema import Origin, Quality, RecordKind

YEAR_2024 = 1_704_067_200_000_000_000
VIEWS = ("spans", "attributes", "events", "links", "resources", "scopes", "summary", "sources", "issues")

# no halves of surrogate pairs: no reader lets them through
words = st.text(st.characters(exclude_categories=("Cs",)), max_size=6)
scalars = st.one_of(
    words,
    st.integers(-(2**70), 2**70),
    st.sampled_from([0, 1, -1, 2**63 - 1, -(2**63), 2**63]),
    st.floats(),
    st.sampled_from([0.0, -0.0, float("nan"), float("inf")]),
    st.booleans(),
    st.binary(max_size=4),
    st.none(),
)
values = st.one_of(scalars, st.lists(words, max_size=2), st.dictionaries(words, words, max_size=2))
flags = st.integers(0, 2**32 - 1)
ids = st.integers(1, 3)
times = st.one_of(st.none(), st.integers(YEAR_2024, YEAR_2024 + 50))


@st.composite
def sets(draw):
    """A set of a few spans in few traces: ids clash, parents are missing, times are absent, sources complain."""
    builder = Builder()
    for number in range(draw(st.integers(0, 3))):
        ledger = builder.open_source(f"file-{number}-{draw(words)}")
        ledger.formats["otlp"] += 1
        ledger.compression = draw(st.sampled_from(["none", "gzip"]))
        for _ in range(draw(st.integers(0, 4))):
            _span(draw, builder)
        for _ in range(draw(st.integers(0, 2))):
            _trouble(draw, ledger)
        if draw(st.booleans()):
            builder.fact(draw(ids), reported_duration_ns=draw(st.integers(-1, 9)), limit_exceeded=draw(st.booleans()))
        ledger.close()
    traces = to_trace_set(builder)
    if draw(st.booleans()):
        traces = traces.with_weights(np.array([draw(st.floats(1, 10)) for _ in range(len(traces))]))
    return traces


def _trouble(draw, ledger):
    at = Position(draw(st.integers(0, 9)), draw(st.integers(0, 99)))
    text = draw(words)
    draw(
        st.sampled_from(
            [
                lambda: ledger.issue("ATTR_BAD", text, at=at, field=text, raw=text),
                lambda: ledger.quarantine("JSON_SYNTAX", text, at=at, trace_id="ab", count=2),
                lambda: ledger.tally("TEXT_PREFIX", text, at),
                lambda: ledger.incomplete(text),
                lambda: ledger.skip("metrics"),
                lambda: ledger.dialect("snake_case"),
            ]
        )
    )()


def _attributes(draw, builder):
    return [
        builder.kv(
            draw(words),
            draw(values),
            draw(st.sampled_from(list(Origin))),
            draw(st.sampled_from(["", "debug"])),
            draw(st.booleans()),
        )
        for _ in range(draw(st.integers(0, 3)))
    ]


def _span(draw, builder):
    events = [
        Event(draw(times), draw(words), _attributes(draw, builder), draw(flags)) for _ in range(draw(st.integers(0, 2)))
    ]
    links = [
        Link(draw(ids) << 70, draw(ids), draw(st.integers(0, 3)), _attributes(draw, builder), draw(words), draw(flags))
        for _ in range(draw(st.integers(0, 2)))
    ]
    builder.span(
        at=Position(draw(st.integers(1, 2**40)), draw(st.integers(0, 2**40))),
        trace_id=draw(st.sampled_from([1, 2, 2**64, 2**127 + 5])),
        span_id=draw(ids),
        parent_id=draw(st.integers(0, 4)),
        name=draw(words),
        kind=draw(st.integers(0, 5)),
        start_ns=draw(times),
        end_ns=draw(times),
        status_code=draw(st.integers(0, 2)),
        status_message=draw(words),
        trace_state=draw(st.sampled_from(["", "ot=th:8", "vendor=1"])),
        flags=draw(flags),
        record_kind=draw(st.sampled_from(list(RecordKind))),
        resolution_ns=draw(st.sampled_from([1, 1000])),
        resource=builder.resource(_attributes(draw, builder), draw(words), draw(flags)),
        scope=builder.scope(draw(words), draw(words), _attributes(draw, builder), draw(words), draw(flags)),
        attributes=_attributes(draw, builder),
        events=events,
        links=links,
        dropped_attributes=draw(flags),
        dropped_events=draw(flags),
        dropped_links=draw(flags),
        quality=draw(st.sampled_from([0, int(Quality.IN_PROGRESS), int(Quality.SHARED)])),
    )


def shop(*numbers, name="GET /cart", **members):
    """A set of one trace a number, two spans each, with something odd."""
    return read(shop_lines(*numbers, name=name, **members))


def shop_lines(*numbers, name="GET /cart", **members):
    spans = []
    for number in numbers:
        parent = made.ids(number)
        child = {"traceId": parent["traceId"], "spanId": f"{number + 1:016x}", "parentSpanId": parent["spanId"]}
        attributes = [made.text("user", f"u{number}"), made.attribute("n", {"intValue": str(number)})]
        spans += [made.span(**parent, name=name, attributes=attributes), made.span(**child, name="charge", **members)]
    return made.lines(made.request(*spans), b"noise")


def assert_identical(found, expected, views=VIEWS):
    """Every column of two sets the same, bit for bit, and these frames, which are made of the columns."""
    _same(found.columns, expected.columns, "columns")
    _same(found.weights.value, expected.weights.value, "weights")
    _same(tuple(found.weights.source), tuple(expected.weights.source), "weights.source")
    for view in views:
        pd.testing.assert_frame_equal(getattr(found, view), getattr(expected, view), obj=view)


def _same(found, expected, where):
    kind = Columns if isinstance(expected, Columns) else type(expected)  # not how its frames are made
    assert isinstance(found, kind), where
    if is_dataclass(expected):
        for column in fields(expected):
            _same(getattr(found, column.name), getattr(expected, column.name), f"{where}.{column.name}")
    elif isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype, where
        assert found.tobytes() == expected.tobytes(), where
    elif isinstance(expected, pd.DataFrame):
        pd.testing.assert_frame_equal(found, expected, obj=where)
    elif isinstance(expected, pa.Array):
        assert found.equals(expected), where
    elif isinstance(expected, tuple):
        for number, pair in enumerate(zip(found, expected, strict=True)):
            _same(*pair, f"{where}[{number}]")
    else:
        assert found == expected, where


def content(traces):
    """Every column of a set, bit for bit, with codes of texts, attributes, resources and scopes replaced by these."""
    columns = traces.columns
    texts = np.array([*columns.texts, None], object)
    kv = columns.kv
    namespaces = [*kv.namespaces, None]  # the last for -1
    bits = zip(
        *([kv.keys[code] for code in kv.key], kv.type.tolist(), kv.text.to_pylist(), kv.integer.tolist()),
        *(kv.double.view(np.int64).tolist(), kv.origin.tolist(), kv.is_indexed.tolist()),
        [namespaces[code] for code in kv.namespace],
        strict=True,
    )
    attributes = np.array([*map(repr, bits), None], object)[:-1]

    def lists(table):
        return table.offsets.tolist(), attributes[table.codes].tolist()

    def owners(table, own):
        rows = zip(*(column(table, one).tolist() for one in fields(table)), strict=True)
        return np.array([*(repr((row, attributes[own.of(i)].tolist())) for i, row in enumerate(rows)), None], object)

    def column(table, one):
        codes = getattr(table, one.name)
        is_text = one.name in {"status_message", "trace_state", "schema_url", "version"} or (
            one.name == "name" and table is not columns.spans
        )
        return texts[codes] if is_text else codes

    coded = {
        "name": np.array([*columns.names, None], object),
        "resource": owners(columns.resources, columns.resource_attributes),
        "scope": owners(columns.scopes, columns.scope_attributes),
    }
    found = {"frames": [traces.sources.to_csv(), traces.issues.to_csv()]}
    for name in ("spans", "events", "links", "facts"):
        table = getattr(columns, name)
        for one in fields(table):
            values = column(table, one)
            if name == "spans" and one.name in coded:
                values = coded[one.name][values]
            found[f"{name}.{one.name}"] = values.dtype.str, values.tolist()
    for name in ("attributes", "event_attributes", "link_attributes"):
        found[name] = lists(getattr(columns, name))
    return found


def assert_same_content(found, expected):
    """Both sets the same bit for bit, whatever the numbers of their texts, attributes, resources and scopes."""
    found, expected = content(found), content(expected)
    for name, values in expected.items():
        assert found[name] == values, name


def meaning(traces):
    """Everything a set says, whatever the order of its tables of texts, attributes, resources and scopes."""
    frames = {view: getattr(traces, view).copy() for view in VIEWS}
    for owner in ("resource", "scope"):
        told = [tuple(row) for row in _plain(frames[f"{owner}s"]).itertuples(index=False)]
        own = frames["attributes"][frames["attributes"]["owner"] == owner]
        cells = _plain(own.drop(columns=["owner", "owner_id"])).itertuples(index=False)
        bags = [[] for _ in told]
        for number, cell in zip(own["owner_id"], cells, strict=True):
            bags[number].append(tuple(cell))
        content = [str((row, sorted(map(str, bag)))) for row, bag in zip(told, bags, strict=True)]
        frames["spans"][f"{owner}_id"] = [content[number] for number in frames["spans"][f"{owner}_id"]]
        frames["attributes"] = frames["attributes"][frames["attributes"]["owner"] != owner]
        del frames[f"{owner}s"]
    return {view: _plain(frame) for view, frame in frames.items()}


def _plain(frame):
    """A frame of objects, missing cells told apart by nothing but being missing."""
    frame = frame.reset_index(drop=frame.index.name != "trace_id").astype(object)
    return frame.where(frame.notna(), None)


def assert_same_meaning(found, expected):
    found, expected = meaning(found), meaning(expected)
    for view, frame in expected.items():
        pd.testing.assert_frame_equal(found[view], frame, obj=view)
