"""Names of groups and filters: one vocabulary, the same groups in every function that groups."""

import inspect

import numpy as np
import pandas as pd
import pytest

import tracekit as tk
from tracekit.analysis.service_graph.build import ServiceGraph
from tracekit.grouping import UnknownNameError, column, named, of_traces, values

SECOND = 10**9


def frame():
    """Three requests: the tier is recorded by the second span of a1, by nobody in b2, and by two spans of c3."""
    return pd.DataFrame(
        {
            "trace_id": ["a1"] * 3 + ["b2"] * 2 + ["c3"] * 3,
            "span_id": list("12345678"),
            "parent_span_id": [None, "1", "2", None, "4", None, "6", "7"],
            "name": ["POST /pay", "charge", "SELECT", "GET /", "find", "POST /pay", "charge", "SELECT"],
            "service_name": ["web", "pay", "pay", "web", "find", "web", "pay", "pay"],
            "start_ns": [SECOND * k // 3 for k in (0, 1, 2, 9, 10, 18, 19, 20)],
            "end_ns": [SECOND * k // 3 for k in (6, 5, 4, 12, 11, 24, 23, 22)],
            "status_code": ["UNSET"] * 7 + ["ERROR"],
            "attributes.app.tier": [None, "gold", None, None, None, None, "free", "gold"],
            "attributes.app.items": [None, 12, None, None, 3, None, None, 7],
            "resource.deployment.zone": ["z1", "z2", "z2", "z1", "z2", "z1", "z2", "z2"],
        }
    )


SHOP = tk.TraceSet.from_spans(frame())


def spelled(codes):
    return [codes.at(row) for row in range(len(codes.codes))]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("service_name", ["web", "pay", "pay", "web", "find", "web", "pay", "pay"]),
        ("app.tier", [None, "gold", None, None, None, None, "free", "gold"]),
        ("deployment.zone", ["z1", "z2", "z2", "z1", "z2", "z1", "z2", "z2"]),
        ("resource.deployment.zone", ["z1", "z2", "z2", "z1", "z2", "z1", "z2", "z2"]),
        ("request.app.tier", ["gold"] * 3 + [None] * 2 + ["free"] * 3),
        ("request.deployment.zone", ["z1"] * 8),
        ("request.resource.deployment.zone", ["z1"] * 8),
        ("request.operation", ["POST /pay"] * 3 + ["GET /"] * 2 + ["POST /pay"] * 3),
        ("is_error", ["false"] * 7 + ["true"]),
        ("depth", ["0", "1", "2", "0", "1", "0", "1", "2"]),
        ("trace_id", [f"{name:0>32}" for name in ["a1"] * 3 + ["b2"] * 2 + ["c3"] * 3]),
    ],
)
def test_a_name_is_one_value_per_span(name, wanted):
    assert spelled(column(SHOP, name)) == wanted


def test_the_value_of_a_request_is_that_of_its_root_else_of_the_least_deep_and_earliest_span():
    told = frame().assign(**{"attributes.app.tier": [None, None, "deep", None, "find", "root", "charge", "SELECT"]})
    assert spelled(of_traces(tk.TraceSet.from_spans(told), "request.app.tier")) == ["deep", "find", "root"]
    twins = frame().assign(parent_span_id=[None, "1", "1", None, "4", None, "6", "6"])
    assert spelled(of_traces(tk.TraceSet.from_spans(twins), "request.app.tier")) == ["gold", None, "free"]
    orphan = frame().assign(parent_span_id=[None, "1", "2", None, "4", None, "9", "9"])
    orphan["attributes.app.tier"] = [None] * 5 + ["root", "orphan", None]
    assert spelled(of_traces(tk.TraceSet.from_spans(orphan), "request.app.tier"))[2] == "root"


def test_a_key_as_recorded_comes_before_a_prefix():
    told = tk.TraceSet.from_spans(frame().assign(**{"attributes.request.app.tier": ["own"] + [None] * 7}))
    assert spelled(column(told, "request.app.tier")) == ["own", *[None] * 7]


def test_a_series_is_aligned_with_spans_or_traces():
    spans = pd.Series(["x", "y"] * 4, name="pair")
    assert spelled(column(SHOP, spans)) == ["x", "y"] * 4
    aligned = SHOP.attribute("app.tier").sample(frac=1, random_state=1)
    assert spelled(column(SHOP, aligned)) == spelled(column(SHOP, "app.tier"))
    traces = pd.Series([1, 2], index=pd.Index(SHOP.trace_ids[::2], name="trace_id"))
    assert spelled(column(SHOP, traces)) == ["1"] * 3 + [None] * 2 + ["2"] * 3
    assert list(named([traces, "service_name"])) == ["group", "service_name"]


@pytest.mark.parametrize(
    ("by", "kind", "told"),
    [
        (
            "app.teir",
            UnknownNameError,
            "expected a column of spans, an attribute key, .*'app.teir'; did you mean app.tier",
        ),
        ("attributes.app.tier", UnknownNameError, r"did you mean app\.tier\?"),
        ("request.tier", UnknownNameError, r"found 'request.tier'; did you mean request\.app\.tier\?"),
        ("servicename", UnknownNameError, "did you mean service_name"),
        ("nothing_like_it", UnknownNameError, r"traces.attributes\['key'\].unique\(\) lists the keys"),
        ("call_path", UnknownNameError, "call_path is known to critical_path"),
        (3, TypeError, "expected a name, a Series or a list of these to group by, found int"),
        ([None], TypeError, "found NoneType"),
        (
            pd.Series(["x"]),
            ValueError,
            "one value for each of 8 spans or indexed by trace id to group by, found 1 values",
        ),
        (pd.Series([1], index=pd.Index(["f"], name="trace_id")), ValueError, "found none of them"),
        (pd.Series([1, 2], index=pd.Index(["f", "f"], name="trace_id")), ValueError, "found several for trace f"),
        ([pd.Series(range(8)), pd.Series(range(8))], ValueError, "found 'group' twice; rename one of the Series"),
    ],
)
def test_what_is_no_grouping_says_what_is(by, kind, told):
    with pytest.raises(kind, match=told):
        tk.latency(SHOP, by=by)


def test_a_subset_knows_the_names_of_its_recording():
    _, during = tk.load_sample("checkout-regression")
    alone = during.where("service_name == 'storefront'").trace(during.trace_ids[0])
    key = "messaging.consumer.group.name"
    assert key not in set(alone.attributes["key"])
    assert len(alone.where(f"{key} == 'mailer'")) == 0
    assert len(alone.where(f"{key} != 'mailer'")) == 1
    assert alone.attribute(f"request.{key}").isna().all()
    with pytest.raises(UnknownNameError, match=r"messaging\.consumer\.grup"):
        alone.attribute("messaging.consumer.grup")
    with pytest.raises(UnknownNameError, match=r"'exception\.stacktrace'"):
        during.where("is_error").attribute("exception.stacktrace")


def test_attribute_takes_the_same_names():
    assert SHOP.attribute("request.app.tier").isna().sum() == 2
    assert SHOP.attribute("duration_ns").equals(SHOP.spans["duration_ns"])
    assert values(SHOP, "resource.deployment.zone").name == "resource.deployment.zone"


# ------------------------------------------------------------------ the law: one name, one grouping


def is_grouping(function):
    return "by" in inspect.signature(function).parameters


def table_of(answer):
    """The frame with one row per group."""
    if isinstance(answer, ServiceGraph):  # its groups are services
        return answer.services[~answer.services["is_inferred"].astype(bool)]
    for member in ("table", "operations"):
        if hasattr(answer, member):
            return getattr(answer, member)
    return answer


FUNCTIONS = [name for name in tk.__all__ if inspect.isfunction(getattr(tk, name)) and is_grouping(getattr(tk, name))]
RESULTS = {"critical_path": tk.critical_path(SHOP), "self_time": tk.self_time(SHOP)}
SUMS = {"tabulated"}  # what the tables of several results are made of
METHODS = [
    (name, method)
    for name, result in RESULTS.items()
    for method, _ in inspect.getmembers(type(result), inspect.isfunction)
    if not method.startswith("_") and method not in SUMS and is_grouping(getattr(type(result), method))
]


NEEDED = {"compare": (SHOP,), "cost": ([tk.Price("calls", "kind == 'CLIENT'", usd_per_million=1)],)}


def grouped(name, by):
    """The groups that a function of the facade or a method of a result makes."""
    if isinstance(name, str):
        return table_of(getattr(tk, name)(SHOP, *NEEDED.get(name, ()), by=by))
    result, method = name
    other = [RESULTS[result]] if method == "compare" else []
    return table_of(getattr(RESULTS[result], method)(*other, by=by))


def test_the_law_has_its_functions():
    assert {"latency", "errors", "timeline", "service_graph", "compare", "cost"} == set(FUNCTIONS)
    assert {
        ("critical_path", "by"),
        ("critical_path", "bands"),
        ("critical_path", "compare"),
        ("critical_path", "opportunities"),
        ("self_time", "by"),
    } <= set(METHODS)


NAMES = ["service_name", "app.tier", "resource.deployment.zone", "request.app.tier", "request.operation", "depth"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("function", [*FUNCTIONS, *METHODS], ids=str)
def test_one_name_is_one_grouping(function, name):
    table = grouped(function, name)
    rows = SHOP.forest.root_row if function in ("timeline", "cost") else np.arange(len(SHOP.spans))
    wanted = {label if label is not None else "" for label in spelled(column(SHOP, name).take(rows))}
    column_name, missing = ("service_name", "(none)") if function == "service_graph" else (name, "")
    found = {"" if pd.isna(label) or label == missing else label for label in table[column_name]}
    assert found <= wanted
    if function != ("critical_path", "opportunities"):  # only groups whose savings are above 0
        assert found == wanted


@pytest.mark.parametrize("function", [*FUNCTIONS, *METHODS], ids=str)
def test_several_names_and_a_series(function):
    tier = SHOP.attribute("request.app.tier").rename("tier")
    per_trace = pd.Series(["x", "y", "x"], index=pd.Index(SHOP.trace_ids, name="trace_id"), name="half")
    is_of_two = function in {"compare", ("critical_path", "compare")}
    keys = [per_trace, "service_name"] if is_of_two else [tier, per_trace, "service_name"]
    if function == "service_graph":
        assert set(grouped(function, keys)["service_name"]) == {
            "gold x web", "gold x pay", "(none) y web", "(none) y find", "free x web", "free x pay"
        }  # fmt: skip
        return
    assert [*named(keys)] == [name for name in grouped(function, keys).columns if name in named(keys)]


@pytest.mark.parametrize("function", [*FUNCTIONS, *METHODS], ids=str)
def test_an_unknown_name_says_what_is_meant_everywhere(function):
    with pytest.raises(ValueError, match=r"did you mean request\.app\.tier"):
        grouped(function, "request.tier")


def test_the_calls_of_a_graph_are_those_between_its_groups():
    calls = tk.service_graph(SHOP, by="resource.deployment.zone").calls
    assert calls[["caller_service", "callee_service", "call_count"]].to_numpy().tolist() == [["z1", "z2", 3.0]]
    with pytest.raises(ValueError, match="expected at least one name to group services by, found none"):
        tk.service_graph(SHOP, by=[])


# ------------------------------------------------------------------ an incident with labels


def test_all_time_on_the_critical_path_belongs_to_a_tier_of_the_bundled_incident():
    _, during = tk.load_sample("checkout-regression")
    table = tk.critical_path(during).by("request.app.customer.tier")
    assert set(table["request.app.customer.tier"]) == {"enterprise", "free", "pro"}
    assert table["share_ratio"].sum() == pytest.approx(1)
    assert table["path_time_ns"].sum() == tk.critical_path(during).latency_ns.sum()
    assert table["trace_count"].sum() == len(during)
