"""What ``import tracekit`` promises: the names, their words, what they cost, and the laws of every answer."""

import ast
import importlib
import inspect
import itertools
import json
import pkgutil
import re
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

import tracekit as tk
from tracekit.schema import names

HEAVY = {"plotly", "anywidget", "boto3", "nbformat", "ipywidgets", "networkx", "IPython"}
HEAVY |= {"jinja2", "rich", "typer", "pyarrow.parquet", "scipy.stats"}  # not asked for, and not missed before they work
CHECKING = {"scipy", "tracekit.checks.registry"}  # for tests and checks only
FEW = {"scipy.signal", "scipy.stats", "scipy.optimize"}  # for a few checks
UNUSED = {"scipy.stats", "pyarrow.parquet", "tracekit.checks.registry", "plotly", "networkx", "boto3"}  # by a table
FRAMES = {"pandas", "scipy"}  # by what makes no frame; ``tracekit.on_demand`` imports pandas
RECORDING = Path(__file__).parents[1] / "datasets" / "checkout-xray" / "traces.jsonl.zst"
ERROR_MEMBERS = {
    "LoadError": {"source", "record", "code"},
    "SchemaError": {"missing", "found"},
    "PullError": {"operation", "request_id"},
    "FilterError": {"expression", "position"},
    "RenderError": set(),
}


def in_a_fresh_python(code):
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


# ------------------------------------------------------------------ names


def test_all_is_the_truth():
    assert len(set(tk.__all__)) == len(tk.__all__)
    assert set(dir(tk)) == {*tk.__all__, "__version__"}
    for name in tk.__all__:
        assert getattr(tk, name).__name__ == name


def test_type_checkers_read_the_same_names():
    lines = ast.parse(Path(tk.__file__).with_suffix(".pyi").read_text(encoding="utf-8")).body
    known = [(line.module, line.names) for line in lines if isinstance(line, ast.ImportFrom)]
    assert len(known) == len(tk.__all__)
    for (module, (alias,)), name in zip(known, tk.__all__, strict=True):
        assert alias.name == alias.asname == name, "only `import x as x` is a public name to a type checker"
        assert getattr(tk, name) is getattr(importlib.import_module(module), name)


def test_a_missing_name_points_to_the_list_of_names():
    with pytest.raises(AttributeError, match=r"no attribute 'reed'; tracekit\.__all__ lists the public names"):
        tk.reed  # noqa: B018 - the question is what it raises


@pytest.mark.parametrize("name", tk.__all__)
def test_every_name_has_a_docstring_and_an_example(name):
    thing = getattr(tk, name)
    assert thing.__doc__, name
    assert name == "TraceSet" or ">>>" in thing.__doc__ or issubclass(thing, Exception), name
    if inspect.isfunction(thing):
        assert {"Returns", "Examples"} <= set(thing.__doc__.split()), name
        words = set(re.split(r"\W+", thing.__doc__.partition("Returns\n")[0]))
        assert set(inspect.signature(thing).parameters) <= words, name


@pytest.mark.parametrize("name", [name for name in tk.__all__ if inspect.isfunction(getattr(tk, name))])
def test_at_most_two_arguments_go_by_position(name):
    kinds = [parameter.kind for parameter in inspect.signature(getattr(tk, name)).parameters.values()]
    assert kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) <= 2


def test_the_container_stays_small():
    methods = [name for name, _ in inspect.getmembers(tk.TraceSet, callable) if not name.startswith("_")]
    assert len(methods) <= 15, methods


def test_the_table_of_contents_names_every_kind_of_part():
    words = tk.__doc__
    assert all(name in words for name in ("read", "TraceSet", "analyses", "results", "views", "report(", "describe()"))


def test_no_public_name_can_be_taken_by_a_module_of_the_same_name():
    """Importing tracekit must settle these at once: see the imports of ``tracekit/__init__.py``."""
    modules = {found.name for found in pkgutil.iter_modules(tk.__path__)}
    shared = modules & set(tk.__all__)
    assert shared == {"errors", "pull", "report"}
    settled = "f'tracekit.{name}' in sys.modules and type(vars(tracekit).get(name)) is not type(sys)"
    code = f"import sys, tracekit; print(*(name for name in {sorted(shared)} if {settled}))"
    assert in_a_fresh_python(code) == sorted(shared)


@pytest.mark.parametrize(
    "before",
    [
        "",
        "import tracekit.errors",
        "import tracekit.report",
        "import tracekit.report.page",
        "from tracekit.errors import LoadError",
        "from tracekit.report import page",
        "from tracekit.analysis import errors",
        "import tracekit; tracekit.read; tracekit.plot; import tracekit.loading.convert",
    ],
)
def test_errors_and_report_are_functions_whatever_was_imported_before(before):
    code = f"{before}\nimport tracekit as tk\nfrom tracekit.errors import LoadError\nfrom tracekit.report import page\n"
    code += "print(type(tk.errors).__name__, type(tk.report).__name__, tk.LoadError is LoadError, page.__name__)"
    assert in_a_fresh_python(code) == ["function", "function", "True", "tracekit.report.page"]


# ------------------------------------------------------------------ what it costs


def test_importing_brings_in_nothing_heavy():
    code = f"import tracekit, sys; print(*sorted(set(sys.modules) & {HEAVY | CHECKING | FRAMES!r}))"
    assert in_a_fresh_python(code) == []


def test_the_critical_path_in_a_terminal_brings_in_no_checks():
    code = f"""
import contextlib, io, sys
from tracekit.cli import main
sys.argv = ["tracekit", "path", {str(RECORDING)!r}]
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main()
print("tracekit.cli_tables" in sys.modules, *sorted(set(sys.modules) & {UNUSED!r}))
"""
    assert in_a_fresh_python(code) == ["True"]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["path", "."], "Critical-path time per request, top 1 of 2"),
        (["path", ".", "--by", "callee_service", "--by", "operation"], "Critical-path time per request, top 1 of 2"),
        (["--help"], "Analyze distributed traces"),
        (["check", "--help"], "Usage: tracekit check"),
    ],
)
def test_a_command_that_makes_no_frame_does_not_import_pandas(tmp_path, arguments, shown):
    processes = {name: {"serviceName": name, "tags": []} for name in ("shop", "cart")}
    for trace in range(3):
        ids = {"traceID": f"{trace + 1:016x}", "flags": 1, "logs": [], "tags": []}
        above = {"refType": "CHILD_OF", "traceID": ids["traceID"], "spanID": "01"}
        spans = [
            ids | {"spanID": "01", "processID": "shop", "operationName": "GET /", "references": []},
            ids | {"spanID": "02", "processID": "cart", "operationName": "list", "references": [above]},
        ]
        timed = [
            span | {"startTime": 1_700_000_000_000_000 + at, "duration": 100 - 10 * at} for at, span in enumerate(spans)
        ]
        answer = {"data": [{"traceID": ids["traceID"], "spans": timed, "processes": processes}]}
        (tmp_path / f"{trace}.json").write_text(json.dumps(answer), encoding="utf-8")
    code = f"""
import contextlib, io, os, sys
from tracekit.cli import main
os.chdir({str(tmp_path)!r})
sys.argv = ["tracekit", *{arguments!r}, *["--top", "1"][: 2 * ("path" in {arguments!r})]]
with contextlib.redirect_stdout(io.StringIO()) as printed, contextlib.suppress(SystemExit):
    main()
print({shown!r} in printed.getvalue(), *sorted(set(sys.modules) & {FRAMES!r}))
"""
    assert in_a_fresh_python(code) == ["True"]


def test_all_checks_and_the_report_bring_in_nothing_that_a_few_of_them_need():
    code = f"""
import sys, tempfile, tracekit as tk
with tempfile.TemporaryDirectory() as folder:
    tk.report(tk.load_sample("checkout-xray"), folder + "/page.html")
print(*sorted(set(sys.modules) & {FEW!r}))
"""
    assert in_a_fresh_python(code) == []


def test_reading_and_asking_bring_in_nothing_that_draws():
    code = f"""
import sys, tracekit as tk
traces = tk.load_sample("checkout-xray")
tk.service_graph(traces), tk.latency(traces), tk.self_time(traces), tk.errors(traces)
print(*sorted(set(sys.modules) & {HEAVY - {"networkx", "rich"}!r}))
"""
    assert in_a_fresh_python(code) == []


# ------------------------------------------------------------------ errors


def test_the_tree_of_errors_is_the_one_in_its_docstring():
    module = importlib.import_module("tracekit.errors")
    classes = [thing for thing in vars(module).values() if inspect.isclass(thing)]
    assert {thing.__name__ for thing in classes} == {"TracekitError", *ERROR_MEMBERS}
    lines = module.__doc__.splitlines()
    for thing in classes:
        assert thing.__name__ in tk.__all__
        (line,) = [line for line in lines if line.split()[:1] == [thing.__name__]]
        expected = ERROR_MEMBERS.get(thing.__name__, set())
        assert {word[1:] for word in line.split() if word.startswith(".")} == expected
        taken = inspect.signature(thing).parameters if "__init__" in vars(thing) else ["message"]
        assert set(taken) == expected | {"message"}
        assert thing is tk.TracekitError or thing.__base__ is tk.TracekitError


def test_catching_the_root_catches_them_all():
    with pytest.raises(tk.TracekitError):
        tk.read(b"")


# ------------------------------------------------------------------ the laws of every answer


def test_every_span_is_in_every_answer_once(drawing):
    name, frame = drawing
    traces = tk.TraceSet.from_spans(frame)
    count = len(frame)
    assert list(traces.spans.columns) == names("spans")
    assert len(traces.spans) == traces.summary["span_count"].sum() == count, name
    assert tk.service_graph(traces).services["span_count"].sum() == count
    assert tk.latency(traces).table[["span_count", "excluded_count"]].to_numpy().sum() == count
    assert tk.errors(traces).operations["span_count"].sum() == count
    assert len(tk.self_time(traces).spans) == count


def test_own_time_is_what_the_children_leave(drawing):
    name, frame = drawing
    own = tk.self_time(tk.TraceSet.from_spans(frame)).spans.set_index("span_id")["self_time_ns"]
    expected = {
        "chain": {1: 20, 2: 40, 3: 40},
        "fan-out": {1: 40, 2: 40, 3: 40},
        "orphan": {1: 50, 2: 20},
        "cycle": {1: 20, 2: 20},
        "shop": {1: 20, 2: 20, 3: 60, 4: 20, 5: 20, 6: 260},
        "one span": {1: 100},
    }[name]
    assert own.to_dict() == {f"{span:016x}": took for span, took in expected.items()}


def test_the_order_of_the_rows_is_no_matter(drawing):
    _, frame = drawing
    answers = []
    for order in itertools.islice(itertools.permutations(range(len(frame))), 6):
        traces = tk.TraceSet.from_spans(frame.iloc[list(order)])
        graph = tk.service_graph(traces)
        kept = traces.spans.drop(columns=["record_number", "byte_offset", "resource_id"])
        answers.append([kept, traces.summary, graph.services, graph.calls, tk.latency(traces).table])
    for other in answers[1:]:
        for first, again in zip(answers[0], other, strict=True):
            pd.testing.assert_frame_equal(first, again, check_categorical=False)


def test_the_shop_equals_its_drawing(shop):
    (call,) = tk.service_graph(shop).calls.to_dict("records")
    assert (call["caller_service"], call["callee_service"], call["call_count"]) == ("cart", "ledger", 2)
    assert (call["paired_count"], call["error_count"], call["is_inferred"]) == (2, 1, False)
    pay = tk.latency(shop).table.set_index(["service_name", "operation"]).loc[("cart", "POST /pay")]
    assert (pay["span_count"], pay["error_ratio"], pay["max_ns"]) == (2, 0.5, 300)


def test_a_report_of_no_traces_shows_a_message(shop, tmp_path):
    nobody = shop.where("service_name == 'nobody'")
    assert "The data contain no traces." in tk.report(nobody, tmp_path / "empty.html").read_text(encoding="utf-8")
