"""The wheel: it carries what the demo, the samples and the notebooks need, and nothing else."""

import ast
import email
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import tracekit as tk
from tracekit.loading import native

ROOT = Path(__file__).parents[1]
BUILD = ROOT / "tracekit/loading/native/build.py"  # runs at installation only
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]

# what is imported -> what is installed for it
DISTRIBUTIONS = {"backports": "backports-zstd", "botocore": "boto3", "markdown_it": "markdown-it-py"}
DISTRIBUTIONS |= {"IPython": "ipywidgets", "traitlets": "ipywidgets"}
# by an extra, and asked for with words that name it
OFFERED = {"resvg_py", "opentelemetry", "dask", "distributed", "fsspec", "mcp"}
OFFERED |= {"nbformat", "nbclient", "nbconvert", "jupyter_client"}
OF_THE_PLUGIN = {"pytest"}  # which loads it


def built(folder, target="wheel", **variables):
    """The wheel or source distribution of this source tree, built without a network."""
    pytest.importorskip("hatchling", reason="the build backend hatchling is not installed")
    command = [sys.executable, "-m", "hatchling", "build", "-t", target, "-d", str(folder)]
    environment = {**os.environ, **variables}
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True, timeout=300, env=environment)
    (path,) = folder.iterdir()
    return path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return built(tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def members(wheel):
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture(scope="module")
def metadata(members):
    (name,) = [name for name in members if name.endswith(".dist-info/METADATA")]
    return email.message_from_bytes(members[name])


def files_of(folder, suffixes=None):
    """Files of a folder of the source tree, caches left out."""
    found = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
    kept = [path for path in found if not {"__pycache__", ".ipynb_checkpoints"} & set(path.parts)]
    return {path.relative_to(ROOT).as_posix() for path in kept if suffixes is None or path.suffix in suffixes}


def test_there_is_one_version(metadata):
    assert tk.__version__ == PROJECT["version"] == metadata["Version"]


def test_every_file_of_the_package_is_there_as_it_is(members):
    expected = files_of("tracekit", {".py", ".pyi", ".js", ".css", ".html", ".typed"})
    expected.remove(BUILD.relative_to(ROOT).as_posix())
    plugin = "tracekit/testing/plugin/pytest_tracekit.py"
    expected.remove(plugin)
    assert members["pytest_tracekit.py"] == (ROOT / plugin).read_bytes()
    assert {
        "tracekit/views/static/tracekit.js",
        "tracekit/report/template.html",
        "tracekit/py.typed",
        "tracekit/__init__.pyi",
    } <= expected
    assert expected <= set(members)
    for name in expected:
        assert members[name] == (ROOT / name).read_bytes(), name


def test_the_recordings_and_notebooks_are_there(members):
    index = json.loads(members["tracekit/_bundled/datasets/index.json"])
    paths = [file["path"] for entry in index["datasets"] for file in entry["files"]]
    assert paths
    for name in [*(f"datasets/{path}" for path in paths), *files_of("notebooks")]:
        assert members[f"tracekit/_bundled/{name}"] == (ROOT / name).read_bytes()


def test_nothing_else_is_there(members):
    tops = {name.partition("/")[0] for name in members}
    assert tops == {"tracekit", "pytest_tracekit.py", f"tracekit_notebook-{tk.__version__}.dist-info"}
    assert not [name for name in members if "__pycache__" in name or ".ipynb_checkpoints" in name]
    assert sum(map(len, members.values())) < 15_000_000


def test_the_metadata_have_what_a_user_needs(metadata, members):
    assert metadata["Name"] == "tracekit-notebook"
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata.get_payload().startswith("# tracekit")
    assert {"lab", "test", "record", "pytest"} <= set(metadata.get_all("Provides-Extra"))
    (points,) = [text.decode() for name, text in members.items() if name.endswith("entry_points.txt")]
    assert "tracekit = tracekit.cli:main" in points
    assert "pytest_tracekit = pytest_tracekit" in points


def test_what_is_imported_is_required(metadata):
    """A library that only a developer has would fail in the first fresh environment."""
    needed = [Requirement(line) for line in metadata.get_all("Requires-Dist")]
    required = {canonicalize_name(one.name) for one in needed if "extra" not in str(one.marker)}
    imported = set()
    for path in {*(ROOT / "tracekit").rglob("*.py")} - {BUILD}:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add(node.module.partition(".")[0])
    foreign = (
        imported - OFFERED - OF_THE_PLUGIN - set(sys.stdlib_module_names) - {"tracekit", "compression"}
    )  # compression: from Python 3.14
    assert len(foreign) > 8
    assert {DISTRIBUTIONS.get(name, name) for name in foreign} <= required


def runner(wheel, folder):
    """Runs this Python in an empty folder, with the content of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    environment = {**os.environ, "PYTHONPATH": str(folder / "site"), "TRACEKIT_LANE": ""}
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()

    def run(*arguments):
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=elsewhere,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    return run


SAY = "import tracekit as tk; print(tk.describe_build().lane, len(tk.load_sample('small-shop')[1]))"


def test_the_wheel_has_the_compiled_scanner(wheel, members, tmp_path):
    if native.extension is None and not any(map(shutil.which, ("cc", "gcc", "clang"))):
        pytest.skip("there is no C++ compiler")
    assert "-cp311-abi3-" in wheel.name
    assert "tracekit/loading/native/_scan.abi3.so" in members or sys.platform == "win32"
    assert not [name for name in members if name.endswith((".cpp", ".h"))]
    assert runner(wheel, tmp_path)("-c", SAY).split() == ["compiled", "5"]


def test_it_is_built_and_works_without_a_compiler(tmp_path):
    (tmp_path / "wheel").mkdir()
    wheel = built(tmp_path / "wheel", CC="/nowhere/cc", CXX="/nowhere/c++")
    assert wheel.name.endswith("-py3-none-any.whl")
    assert runner(wheel, tmp_path)("-c", SAY).split() == ["python", "5"]


def test_the_source_distribution_has_the_sources_of_the_scanner(tmp_path):
    with tarfile.open(built(tmp_path, "sdist")) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert files_of("tracekit/loading/native", {".py", ".cpp", ".h", ".md"}) <= names
    assert not [name for name in names if name.endswith(".so")]


def test_pytest_finds_the_fixture(wheel, tmp_path):
    run = runner(wheel, tmp_path)
    test = tmp_path / "test_it.py"
    test.write_text("""
from opentelemetry import trace

def test_it(tracekit_traces):
    trace.get_tracer("it").start_span("op").end()
    assert tracekit_traces.calls("op") == 1
""")
    assert "1 passed" in run("-m", "pytest", "-p", "no:cacheprovider", f"--rootdir={tmp_path}", str(test))
    assert "--tracekit-update" in run("-m", "pytest", "--help")


def test_it_works_from_any_folder(wheel, tmp_path):
    run = runner(wheel, tmp_path)
    elsewhere = tmp_path / "elsewhere"
    assert Path(run("-c", "import tracekit; print(tracekit.__file__)").strip()).is_relative_to(tmp_path)
    assert "ledger" in run("-m", "tracekit", "demo")
    assert [path.name for path in elsewhere.iterdir()] == ["tracekit-demo.html"]
    assert "checkout-xray" in run("-m", "tracekit", "samples")
