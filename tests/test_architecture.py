"""The layout: modules import from lower layers only, packages have no cycles, and tests mirror the package."""

import ast
import itertools
from pathlib import Path
from typing import NamedTuple

import networkx as nx
import pytest

import tracekit
from tracekit.loading.formats import format_names

PACKAGE = Path(tracekit.__file__).parent
LAYERS = [
    {"errors", "schema", "bundled", "glossary", "wildcards", "text", "on_demand"},
    {"stats", "readable_tables"},
    {
        "byte_sequences",
        "columns",
        "ragged",
        "attributes",
        "completeness",
        "semconv",
        "derived",
        "frames",
        "messages",
        "name_templates",
        "profile_samples",
        "redaction",
        "filters",
        "expressions",
        "grouping",
        "spans_by_name",
        "arguments",
        "traces",
        "parts",
        "forest",
        "parents",
    }
    | {"weights", "findings", "self_description"},
    {"loading", "analysis"},
    {"pull", "receiver", "testing"},
    {"aws"},
    {"checks"},
    {"views"},
    {"report"},
    {"investigation"},
    {"evidence"},
    {
        "explanations",
        "samples",
        "notebooks",
        "notebook_runs",
        "",
        "cli_tables",
        "cli_reading",
        "cli_privacy",
        "cli_goals",
        "cli_check",
        "cli_diff",
        "cli_investigate",
        "cli_path",
        "cli_pull",
        "cli_listen",
        "cli_audit",
        "cli_verify",
        "cli_notebook",
        "cli_mcp",
        "cli",
        "__main__",
    },  # "" is tracekit/__init__.py
]
LAYER = {package: layer for layer, packages in enumerate(LAYERS) for package in packages}
CONTAINER = LAYERS[2]  # TraceSet and its parts, which may import each other
COMMANDS = [
    "explanations",
    "samples",
    "notebooks",
    "notebook_runs",
    "",
    "cli_tables",
    "cli_reading",
    "cli_privacy",
    "cli_goals",
    "cli_check",
    "cli_diff",
    "cli_investigate",
    "cli_path",
    "cli_pull",
    "cli_listen",
    "cli_audit",
    "cli_verify",
    "cli_notebook",
    "cli_mcp",
    "cli",
    "__main__",
]  # each may import those before it
LOADER_CALLS = {  # loaders that functions of TraceSet import when they are called, and the extension
    ("byte_sequences", "loading.native"),
    ("traces", "loading.flat"),
    ("traces", "loading.from_frame"),
    ("traces", "loading.otlp.write"),
    ("traces", "loading.store.read_write"),
    ("traces", "loading.store.union"),
}
VIEW_CALLS = {("views.waterfall.drawing", "analysis.critical_path.compute")}  # where a waterfall opens
LIBRARIES = {  # the only packages that may import a heavy or a networking library
    "anywidget": {"views"},
    "traitlets": {"views"},
    "ipywidgets": {"views"},
    "plotly": {"views"},
    "networkx": {"analysis"},
    "jinja2": {"report"},
    "boto3": {"aws"},
    "botocore": {"aws"},
    "pyarrow": {"loading", "redaction"},
    "urllib3": {"pull"},
    "msgspec": {"loading", "aws", "pull", "testing"},
    "opentelemetry": {"testing"},
    "isal": {"loading"},
    "backports": {"loading", "aws", "pull"},
    "typer": {
        "cli",
        "cli_reading",
        "cli_path",
        "cli_check",
        "cli_diff",
        "cli_goals",
        "cli_investigate",
        "cli_pull",
        "cli_listen",
        "cli_audit",
        "cli_privacy",
        "cli_verify",
        "cli_notebook",
        "cli_mcp",
    },
    "mcp": {"evidence"},
    "rich": {"cli_tables", "cli_path", "cli_listen", "loading", "aws"},  # loading, aws: the progress bars
}
FORMATS = format_names()
KNOWN_BETWEEN_FORMATS = {("xray", "otlp")}  # X-Ray responses in OTEL format contain OTLP spans


class Import(NamedTuple):
    """One import of one module by another; names are relative to tracekit, "" is tracekit/__init__.py."""

    source: str
    target: str
    names: tuple[str, ...]
    line: int
    in_function: bool
    for_types: bool

    def __str__(self):
        return f"tracekit/{self.source.replace('.', '/')}.py:{self.line} imports tracekit.{self.target}"


def name_of(path):
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imports(tree):
    """Every import of a module, with whether it is inside a function and whether only type checkers see it."""
    pending = [(tree, False, False)]
    while pending:
        node, in_function, for_types = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield node, in_function, for_types
        in_function = in_function or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        typing_only = isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
        hidden = set(map(id, node.body)) if typing_only else set()
        pending += [(child, in_function, for_types or id(child) in hidden) for child in ast.iter_child_nodes(node)]


def imports_of(name, tree):
    """The imports of tracekit itself; ``from package import module`` counts as the module."""
    for node, in_function, for_types in imports(tree):
        if isinstance(node, ast.Import):
            targets = [(alias.name, ()) for alias in node.names]
        else:
            base = node.module or ""
            assert node.level == 0, f"tracekit.{name}, line {node.lineno}: imports are written in full"
            inner = [alias.name for alias in node.names if f"{base}.{alias.name}".removeprefix("tracekit.") in MODULES]
            targets = [(f"{base}.{module}", ()) for module in inner]
            rest = tuple(alias.name for alias in node.names if alias.name not in inner)
            targets += [(base, rest)] if rest else []
        for target, names in targets:
            if target == "tracekit" or target.startswith("tracekit."):
                short = target.removeprefix("tracekit").removeprefix(".")
                yield Import(name, short, names, node.lineno, in_function, for_types)


IMPORTS = [one for name, tree in TREES.items() for one in imports_of(name, tree)]


def package(name):
    return name.partition(".")[0]


def allowed(one):
    source, target = package(one.source), package(one.target)
    if LAYER[target] < LAYER[source]:
        return True
    if source == target or {source, target} <= CONTAINER:
        return True
    if source in COMMANDS and target in COMMANDS:
        return COMMANDS.index(target) < COMMANDS.index(source)
    return (one.source, one.target) in LOADER_CALLS and (one.in_function or one.for_types)


def test_every_module_has_a_layer():
    missing = sorted({package(name) for name in MODULES} - set(LAYER))
    assert not missing, f"add {missing} to LAYERS"


def test_modules_import_only_from_lower_layers():
    assert len(IMPORTS) > 100, "imports_of found too few imports: it is broken"
    wrong = [str(one) for one in IMPORTS if not allowed(one)]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("schema", "from tracekit.stats.intervals import wilson"),
        ("stats.intervals", "from tracekit.forest import Forest"),
        ("traces", "from tracekit.loading.store.read_write import save"),
        ("forest", "def late():\n    from tracekit.analysis.latency import latency"),
        ("loading.otlp", "from tracekit.analysis import latency"),
        ("analysis.latency", "import tracekit.loading"),
        ("analysis.errors", "from tracekit import read"),
        ("views.latency", "from tracekit.report.page import write"),
        ("samples", "import tracekit"),
        ("cli_tables", "from tracekit.cli import main"),
    ],
)
def test_a_forbidden_import_is_detected(source, line):
    (one,) = imports_of(source, ast.parse(line))
    assert not allowed(one)


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("traces", "def save(self):\n    from tracekit.loading.store.read_write import save"),
        ("traces", "from tracekit import frames"),
        ("report.page", "from tracekit.text import clean"),
        ("views.errors", "from tracekit.analysis.errors import Errors"),
        ("cli", "import tracekit as tk"),
    ],
)
def test_an_allowed_import_passes(source, line):
    (one,) = imports_of(source, ast.parse(line))
    assert allowed(one)


def test_the_loader_calls_are_in_use():
    used = {(one.source, one.target) for one in IMPORTS}
    assert used >= LOADER_CALLS, "remove unused entries"


def test_views_import_result_types_only():
    taken = [one for one in IMPORTS if package(one.source) == "views" and package(one.target) == "analysis"]
    assert taken
    calls = {(one.source, one.target) for one in taken for name in one.names if not name[0].isupper()}
    assert calls == VIEW_CALLS, "views import result types; the exceptions are listed"


def test_formats_do_not_import_each_other():
    def kind(name):
        stem = name.removeprefix("loading.") if name.startswith("loading.") else ""
        return next((one for one in FORMATS if stem.startswith(one)), "")

    pairs = {(kind(one.source), kind(one.target)): str(one) for one in IMPORTS}
    between = {pair: where for pair, where in pairs.items() if all(pair) and pair[0] != pair[1]}
    assert set(between) <= KNOWN_BETWEEN_FORMATS, between


def test_heavy_libraries_are_imported_only_where_allowed():
    wrong = []
    for name, tree in TREES.items():
        for node, _, for_types in imports(tree):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            heavy = {module.partition(".")[0] for module in modules} & set(LIBRARIES)
            forbidden = [library for library in heavy if package(name) not in LIBRARIES[library] and not for_types]
            wrong += [f"tracekit.{name}, line {node.lineno}: {library}" for library in forbidden]
    assert not wrong, "\n".join(wrong)


def test_modules_have_no_import_cycles():
    """Imports inside functions and for type checkers do not count: they run later or never."""
    uses = {name: set() for name in MODULES}
    for one in IMPORTS:
        if not (one.in_function or one.for_types) and one.target:
            uses[one.source].add(one.target)
    placed = set()
    while ready := {name for name, needs in uses.items() if name not in placed and needs <= placed | {name}}:
        placed |= ready
    assert not set(uses) - placed, f"import cycle: {sorted(set(uses) - placed)}"


def test_no_module_has_a_meaningless_name():
    words = set(itertools.chain.from_iterable(name.replace(".", "_").split("_") for name in MODULES))
    assert not words & {"utils", "util", "helpers", "helper", "manager", "misc", "common"}


def packages_of(name):
    """The folders of a module, outermost first."""
    parts = (
        name.split(".") if name.endswith("__init__") or MODULES[name].name == "__init__.py" else name.split(".")[:-1]
    )
    return [".".join(parts[: k + 1]) for k in range(len(parts))]


def test_sibling_packages_have_no_cycles():
    """Imports for types count too: two folders of one parent must not import each other."""
    graph = nx.DiGraph()
    for one in IMPORTS:
        if not one.source or not one.target or one.target not in MODULES:
            continue
        source, target = packages_of(one.source), packages_of(one.target)
        for mine, theirs in zip(source, target, strict=False):
            if mine != theirs:
                graph.add_edge(mine, theirs)
                break
    cycles = [sorted(found) for found in nx.strongly_connected_components(graph) if len(found) > 1]
    assert cycles == []


TESTS = Path(__file__).parent
WITHOUT_PACKAGE = {"browser", "benchmarks"}  # all views in Chromium; speed
OF_THE_PROJECT = {  # tests of the package as a whole, or of files around it
    "test_architecture",
    "test_calibration",
    "test_datasets",
    "test_every_analysis",
    "test_fuzz_side_readers",
    "test_notebooks",
    "test_packaging",
    "test_public_api",
    "test_readme",
    "pull/test_cli_pull",  # a command, with the servers of tests/pull
    "aws/test_cli_pull",  # a command, with the fake account of tests/aws
    "aws/test_credentials",  # likewise
}
TEST_FILES = {path.relative_to(TESTS).with_suffix("").as_posix() for path in TESTS.rglob("test_*.py")}


def is_mirrored(test):
    """Whether a test is named after its package, or a module or package in it: ``a/test_b_more`` after ``a/b.py``."""
    package = PACKAGE / Path(test).parent
    names = {package.name, *(path.stem for path in package.glob("*.py"))}
    names |= {path.parent.name for path in package.glob("*/__init__.py")}
    stem = Path(test).name.removeprefix("test_")
    return package.is_dir() and any(stem == name or stem.startswith(f"{name}_") for name in names)


def test_tests_mirror_the_package():
    """A test is in the folder of its module, and its name begins with that of the module or package."""
    mirrors = {test for test in TEST_FILES if test.partition("/")[0] not in WITHOUT_PACKAGE} - OF_THE_PROJECT
    assert len(mirrors) > 100
    assert OF_THE_PROJECT <= TEST_FILES
    assert [test for test in sorted(mirrors) if not is_mirrored(test)] == []


@pytest.mark.parametrize(
    ("test", "mirrored"),
    [
        ("loading/test_reading", True),
        ("loading/test_loading_fuzz", True),
        ("loading/otlp/test_fast", True),
        ("loading/test_otlp_fast", True),
        ("loading/test_readings", False),
        ("stats/test_fast", False),
        ("gone/test_gone", False),
    ],
)
def test_a_test_in_the_wrong_place_is_detected(test, mirrored):
    assert is_mirrored(test) is mirrored
