"""``tk.from_frame``: columns of any name."""

import pandas as pd
import pytest
from loading.tables import written

import tracekit as tk
from tracekit.errors import SchemaError

NAMES = {
    "trace_id": "trace",
    "span_id": "id",
    "parent_span_id": "up",
    "name": "what",
    "kind": "sort",
    "status_code": "state",
    "status_message": "said",
    "service_name": "app",
    "http_route": "route",
    "attributes": "more",
    "resource.host.name": "machine",
}


def frame():
    """The spans of ``written`` with names of an imaginary tool."""
    start = pd.to_datetime([written.START + at for at in written.column(5)], utc=True)
    return pd.DataFrame(
        {
            "trace": written.column(0),
            "id": written.column(1),
            "up": written.column(2),
            "what": written.column(3),
            "sort": written.column(4),
            "state": [["UNSET", "OK", "ERROR"][code] for code in written.column(7)],
            "said": written.column(8),
            "app": "shop",
            "machine": "h-1",
            "route": [own.get("http.route") for own in written.column(9)],
            "more": [{key: own[key] for key in own if key != "http.route"} for own in written.column(9)],
            "at": start,
            "until": start + pd.to_timedelta(written.column(6), unit="ns"),
            "took": written.column(6),
        }
    )


def expected():
    return tk.read(written.otlp(events=False, links=False, scope=False))


def same(found, wanted):
    columns = ["trace_id", "span_id", "name", "kind", "service_name", "http_route", "start_ns", "end_ns", "status_code"]
    columns += ["status_message", "parent_row", "depth", "host_name"]
    pd.testing.assert_frame_equal(found.spans[columns].astype(str), wanted.spans[columns].astype(str))


@pytest.mark.parametrize(
    "times",
    [
        {"start_time": "at", "end_time": "until"},
        {"start_time": "at", "duration_ns": "took"},
        {"end_time": "until", "duration_ns": "took"},
    ],
)
def test_any_two_of_start_end_and_duration(times):
    rest = [name for name in ("at", "until", "took") if name not in times.values()]
    same(tk.from_frame(frame().drop(columns=rest), NAMES | times), expected())


@pytest.mark.parametrize(("unit", "size"), [("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9)])
def test_numbers_with_their_unit(unit, size):
    base = 1_795_237_200_000_000_000
    given = pd.DataFrame({"t": ["a1"], "i": ["b1"], "n": ["x"], "s": [int(base / size)], "d": [2e9 / size]})
    times = {f"start_{unit}": "s", f"duration_{unit}": "d"}
    found = tk.from_frame(given, {"trace_id": "t", "span_id": "i", "name": "n"} | times)
    assert found.spans[["start_ns", "duration_ns"]].to_numpy().tolist() == [[base, 2_000_000_000]]


def test_columns_that_are_not_named_become_attributes():
    given = frame().assign(tenant=["a", None, "b"], tries=[1, 2, 3])
    found = tk.from_frame(given, NAMES | {"start_time": "at", "end_time": "until"})
    assert found.attribute("tenant").astype(object).where(found.attribute("tenant").notna(), None).tolist() == [
        "a",
        None,
        "b",
    ]
    assert found.attribute("tries").tolist() == ["1", "2", "3"]
    assert found.attribute("took").notna().all()
    assert found.attributes["value_type"].astype(str)[found.attributes["key"] == "tries"].unique().tolist() == ["int"]


def test_the_frame_is_not_changed():
    given = frame()
    tk.from_frame(given, NAMES | {"start_time": "at", "end_time": "until"})
    pd.testing.assert_frame_equal(given, frame())


def test_own_columns_and_known_layouts_need_no_names():
    sample = tk.load_sample("small-shop")[0]
    assert len(tk.from_frame(sample.spans)) == len(sample)
    same(tk.from_frame(written.clickhouse().to_pandas(types_mapper=None)), tk.read(written.otlp()))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"span_id": None, "name": None}, r"expected columns= to name span_id, name; the frame has trace, id, up"),
        ({"end_time": None}, r"to name two of start_time, end_time and duration_ms"),
        ({"trace_id": "tracee"}, r"expected the columns 'tracee', found trace, id.*; similar: trace"),
        ({"servicename": "app"}, r"found servicename; did you mean service_name\?"),
        ({"start_min": "at"}, r"found start_min; did you mean start_time\?"),
    ],
)
def test_what_is_missing_is_named(change, message):
    names = {key: name for key, name in (NAMES | {"start_time": "at", "end_time": "until"} | change).items() if name}
    with pytest.raises(SchemaError, match=message):
        tk.from_frame(frame(), names)


def test_a_frame_of_unknown_columns_and_other_things():
    with pytest.raises(
        SchemaError, match=r"missing: end_ns, name, span_id, start_ns, trace_id.*found: trace, id.*pass columns="
    ):
        tk.from_frame(frame())
    with pytest.raises(
        TypeError, match=r"expected a DataFrame with a row per span, found list; files: tk.read\(path\)"
    ):
        tk.from_frame([1])
