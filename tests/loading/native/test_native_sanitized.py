"""The extension under AddressSanitizer and UndefinedBehaviorSanitizer, with a million mutated inputs of each kind."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from loading.jaeger import mutated_answers as jaeger_answers
from loading.native.mutated_lines import main
from loading.otlp import mutated_documents as opensearch
from loading.protobuf import mutated_messages
from loading.xray import mutated_answers, mutated_retrieved
from loading.zipkin import mutated_spans

from tracekit.loading import native

SOURCE = Path(native.__file__).parent / "module.cpp"
LINES = int(os.environ.get("TRACEKIT_FUZZ_LINES", "1000000"))
PARTS = 20
PROGRAMS = [
    "loading.native.mutated_alone",
    "loading.native.mutated_lines",
    "loading.otlp.mutated_documents",
    "loading.protobuf.mutated_messages",
    "loading.xray.mutated_answers",
    "loading.xray.mutated_documents",
    "loading.xray.mutated_retrieved",
    "loading.jaeger.mutated_answers",
    "loading.zipkin.mutated_spans",
]
FLAGS = ["-std=c++17", "-fPIC", "-shared", f"-I{sysconfig.get_paths()['include']}"]
STRICT = ["-Wall", "-Wextra", "-Werror"]
SANITIZED = ["-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]
WITH_IT = """
import importlib.util, sys
name = "tracekit.loading.native._scan"
spec = importlib.util.spec_from_file_location(name, sys.argv[1])
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])
sys.path.insert(0, sys.argv[2])
program = importlib.import_module(sys.argv[3])
assert program.native.extension is sys.modules[name]
sys.exit(bool(program.main(int(sys.argv[4]), int(sys.argv[5]))))
"""


def compiled(path, *flags):
    """Compile the extension with gcc; skip where it is not there."""
    if not shutil.which("g++"):
        pytest.skip("there is no g++")
    done = subprocess.run(
        ["g++", *FLAGS, *flags, str(SOURCE), "-o", str(path)], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    return path


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_lines_are_read_alike_in_both_lanes(monkeypatch):
    monkeypatch.setenv(native.SWITCH, "")
    assert main(0, 1500) == 0


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_documents_of_opensearch_are_read_alike_in_both_lanes():
    assert opensearch.main(0, 1000) == 0


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_messages_are_read_alike_in_both_lanes():
    assert mutated_messages.main(0, 1500) == 0


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_answers_are_read_alike_in_both_lanes():
    assert mutated_answers.main(0, 1000) == 0


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_answers_with_spans_of_opentelemetry_are_read_alike_in_both_lanes():
    assert mutated_retrieved.main(0, 500) == 0


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_answers_of_jaeger_are_read_alike_in_both_lanes():
    assert jaeger_answers.main(0, 3000) == 0


@pytest.mark.skipif(native.extension is None, reason="the compiled lane was not built")
def test_mutated_spans_of_zipkin_are_read_alike_in_both_lanes():
    assert mutated_spans.main(0, 3000) == 0


@pytest.mark.slow
@pytest.mark.parametrize("flags", [[], ["-DTRACEKIT_PORTABLE"]], ids=["SSE2", "portable"])
def test_it_compiles_without_a_warning(tmp_path, flags):
    compiled(tmp_path / "_scan.so", "-O3", *STRICT, *flags)


@pytest.fixture(scope="module")
def sanitized(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sanitized")
    both = {"SSE2": [], "portable": ["-DTRACEKIT_PORTABLE"]}
    return [compiled(folder / f"{name}.so", *SANITIZED, *STRICT, *flags) for name, flags in both.items()]


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_million_mutations_under_sanitizers(part, program, sanitized):
    libraries = [
        subprocess.run(["g++", f"-print-file-name={name}"], capture_output=True, text=True, check=True).stdout.strip()
        for name in ("libasan.so", "libstdc++.so")  # the second for exceptions, which the first intercepts
    ]
    done = subprocess.run(
        [
            *(sys.executable, "-c", WITH_IT, str(sanitized[part % 2]), str(Path(__file__).parents[2]), program),
            *(str(10_000_000 + part * LINES // PARTS), str(LINES // PARTS)),
        ],
        env={**os.environ, "LD_PRELOAD": " ".join(libraries), "ASAN_OPTIONS": "detect_leaks=0"},
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
