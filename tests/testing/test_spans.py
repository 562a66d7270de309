"""The fixture ``tracekit_traces`` in a pytest of its own, as a user runs it."""

import subprocess
import sys
from pathlib import Path

import pytest
from opentelemetry import trace as api
from opentelemetry.sdk.trace import TracerProvider

pytest_plugins = ["pytester"]
ROOT = Path(__file__).parents[2]
PLUGIN = ROOT / "tracekit" / "testing" / "plugin"
SHOP = """
import os
from opentelemetry import trace
tracer = trace.get_tracer("shop")

def pay(entries=1):
    with tracer.start_as_current_span("POST /pay"):
        for _ in range(entries):
            with tracer.start_as_current_span("SELECT entries"):
                pass

def entries():
    return int(os.environ.get("ENTRIES", "1"))
"""
TEST = """
from shop import entries, pay

def test_pay(tracekit_traces):
    pay(entries())
    tracekit_traces.assert_no_regression()
"""


@pytest.fixture
def project(pytester, monkeypatch):
    """A function that runs pytest in a folder with a shop and a test of it; returns (outcomes, output).

    In this process, unless alone: the global provider of OpenTelemetry can be set only once.
    """
    monkeypatch.setenv("PYTHONPATH", f"{PLUGIN}:{ROOT}", prepend=":")
    pytester.makepyfile(shop=SHOP)

    assert isinstance(api.get_tracer_provider(), api.ProxyTracerProvider | TracerProvider), "imported once, and kept"

    def run(test, *arguments, alone=False, **variables):
        pytester.makepyfile(test_shop=test)
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        run_pytest = pytester.runpytest_subprocess if alone else pytester.runpytest_inprocess
        ran = run_pytest("-p", "pytest_tracekit", "-p", "no:cacheprovider", *arguments)
        return ran.parseoutcomes(), ran.stdout.str()

    run.path = pytester.path
    return run


def test_calls_are_counted_by_name_and_service(project):
    outcomes, output = project("""
from shop import pay

def test_two(tracekit_traces):
    pay(2)
    assert tracekit_traces.calls("SELECT entries") == 2
    assert tracekit_traces.calls("SELECT *") == 2
    assert tracekit_traces.calls("select entries") == 0
    assert tracekit_traces.calls("*") == 3
    assert tracekit_traces.calls("*", service_name="unknown_*") == 3
    assert tracekit_traces.calls("*", service_name="ledger") == 0
    assert len(tracekit_traces.traces) == 1
    pay()
    assert tracekit_traces.calls("POST /pay") == 2

def test_a_test_has_its_own_spans(tracekit_traces):
    assert tracekit_traces.calls("*") == 0
    pay()
    assert repr(tracekit_traces).startswith("SpansUnderTest(TraceSet(1 trace, 2 spans, 1 service, ")

def test_that_does_not_record():
    pay()

def test_too_many(tracekit_traces):
    pay(3)
    assert tracekit_traces.calls("SELECT entries") <= 1
""")
    assert outcomes == {"passed": 3, "failed": 1}, output
    assert "assert 3 <= 1" in output


def test_a_baseline_is_written_on_request_and_compared_otherwise(project):
    folder = project.path / "__tracekit__"
    outcomes, output = project(TEST)
    assert outcomes == {"failed": 1}
    assert (
        f"expected a baseline in {folder / 'test_shop.test_pay.jsonl.zst'}, found none; run pytest --tracekit-update"
        in output
    )
    assert not folder.exists()
    assert project(TEST, "--tracekit-update")[0] == {"passed": 1}
    (stored,) = folder.iterdir()
    assert stored.name == "test_shop.test_pay.jsonl.zst"
    assert stored.stat().st_size < 1000
    assert project(TEST)[0] == {"passed": 1}
    outcomes, output = project(TEST, ENTRIES="4")
    assert outcomes == {"failed": 1}
    assert "AssertionError: 4 calls of unknown_service SELECT entries, 1 in the baseline (baseline " in output
    assert "if this is intended, run pytest --tracekit-update)" in output
    assert project(TEST, "--tracekit-update")[0] == {"passed": 1}
    assert project(TEST)[0] == {"passed": 1}, "the new numbers are the baseline"


def test_more_errors_and_new_calls_are_regressions(project):
    test = """
import os
from opentelemetry.trace import StatusCode
from shop import tracer

def test_it(tracekit_traces):
    with tracer.start_as_current_span("GET /") as span:
        if "BROKEN" in os.environ:
            span.set_status(StatusCode.ERROR)
            tracer.start_span("POST /retry").end()
    tracekit_traces.assert_no_regression()
"""
    assert project(test, "--tracekit-update")[0] == {"passed": 1}
    outcomes, output = project(test, BROKEN="1")
    assert outcomes == {"failed": 1}
    assert "1 error of unknown_service GET /, 0 in the baseline; 1 call of unknown_service POST /retry, 0 in" in output


def test_conditions_and_comparisons_use_the_baseline(project):
    test = """
import pytest
import tracekit as tk
from shop import entries, pay

def test_conditions(tracekit_traces):
    for _ in range(40):
        pay()
    tracekit_traces.assert_no_regression("error_rate rises 20 points")

def test_comparison(tracekit_traces):
    for _ in range(40):
        pay(entries())
    changes = tk.compare(tracekit_traces.baseline.traces, tracekit_traces.traces)
    changes.assert_no_regression("calls_per_request of SELECT entries rises 20%")
    assert tracekit_traces.calls("SELECT entries") <= tracekit_traces.baseline.calls("SELECT entries")
"""
    assert project(test, "--tracekit-update")[0] == {"passed": 2}
    outcomes, output = project(test, ENTRIES="2")
    assert outcomes == {"passed": 1, "failed": 1}, output
    assert "calls_per_request of SELECT entries rises 20%: calls per request of" in output


def test_too_few_traces_for_a_condition_are_a_warning(project):
    test = TEST.replace("regression()", 'regression("mean_ms rises 10%")')
    assert project(test, "--tracekit-update")[0] == {"passed": 1}
    outcomes, output = project(test, "-W", "default")
    assert outcomes == {"passed": 1, "warnings": 1}
    assert "inconclusive: mean_ms rises 10%: " in output


def test_a_test_without_spans_has_no_baseline(project):
    outcomes, output = project(TEST.replace("pay(entries())", "pass"), "--tracekit-update")
    assert outcomes == {"failed": 1}
    assert "expected spans to store as a baseline, found none; check that the code under test is instrumented" in output
    assert not (project.path / "__tracekit__").exists()


def test_parametrized_tests_and_classes_have_baselines_of_their_own(project):
    test = """
import pytest
from shop import pay

class TestCard:
    @pytest.mark.parametrize("card", ["visa/4", "visa-4", "../../x"])
    def test_pay(self, tracekit_traces, card):
        pay()
        tracekit_traces.assert_no_regression()
"""
    assert project(test, "--tracekit-update")[0] == {"passed": 3}
    names = sorted(path.name for path in (project.path / "__tracekit__").iterdir())
    assert len(names) == 3
    assert all(name.startswith("test_shop.TestCard.test_pay-") for name in names)
    assert project(test)[0] == {"passed": 3}


def test_the_provider_of_the_application_is_used(project):
    outcomes, output = project(
        """
from opentelemetry import trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
trace.set_tracer_provider(TracerProvider(resource=Resource({"service.name": "shop"})))
from shop import pay

def test_it(tracekit_traces):
    pay()
    assert tracekit_traces.calls("POST /pay", service_name="shop") == 1
""",
        alone=True,
    )
    assert outcomes == {"passed": 1}, output


def test_a_provider_of_another_kind_is_named(project):
    outcomes, output = project(
        """
from opentelemetry import trace
trace.set_tracer_provider(trace.NoOpTracerProvider())

def test_it(tracekit_traces):
    pass
""",
        alone=True,
    )
    assert outcomes == {"errors": 1}
    assert (
        "expected a tracer provider of opentelemetry-sdk, found opentelemetry.trace.NoOpTracerProvider; set a" in output
    )


def test_without_the_sdk_the_extra_is_named(project):
    outcomes, output = project(
        """
import sys
sys.modules["opentelemetry.sdk.trace"] = None

def test_it(tracekit_traces):
    pass

def test_other():
    pass
""",
        alone=True,
    )
    assert outcomes == {"passed": 1, "errors": 1}
    assert "expected opentelemetry-sdk, which records the spans of a test, found none" in output
    assert "run pip install 'tracekit-notebook[pytest]'" in output


def test_the_plugin_imports_nothing_before_it_is_used():
    code = "import pytest, sys; before = set(sys.modules); import pytest_tracekit; print(*set(sys.modules) - before)"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=PLUGIN, capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == ["pytest_tracekit"]
