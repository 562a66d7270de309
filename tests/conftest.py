"""Traces drawn by hand, for any test that needs a known answer, and the folder beside the repository."""

from pathlib import Path

import hypothesis
import pandas as pd
import pytest

from tracekit import TraceSet
from tracekit.loading.store import part_group

hypothesis.settings.register_profile("tracekit", deadline=None)  # a busy machine is no fault
hypothesis.settings.register_profile(  # half as many as in front of a screen: they are the same every time
    "ci", hypothesis.settings.get_profile("ci"), max_examples=50, deadline=None
)
hypothesis.settings.load_profile("tracekit")
FEWEST = 10  # examples that a test keeps in any case, if it asks for as many


def pytest_collection_modifyitems(items):
    """Under the profile ``ci``, halve the examples of tests that say themselves how many they want."""
    if hypothesis.settings.get_current_profile_name() != "ci":
        return
    for test in {
        item.obj for item in items if hasattr(getattr(item, "obj", None), "_hypothesis_internal_settings_applied")
    }:
        own = test._hypothesis_internal_use_settings
        fewer = max(own.max_examples // 2, min(own.max_examples, FEWEST))
        test._hypothesis_internal_use_settings = hypothesis.settings(own, max_examples=fewer)


COLUMNS = ["trace_id", "span_id", "parent_span_id", "service_name", "name", "kind", "status_code", "start_ns", "end_ns"]

#  chain      web |--------------------| 0..100      one call after another, each within the one before
#             cart   |--------------|   10..90
#             ledger   |--------|       20..60
CHAIN = [
    ("c1", "1", None, "web", "GET /", "SERVER", "UNSET", 0, 100),
    ("c1", "2", "1", "cart", "price", "SERVER", "UNSET", 10, 90),
    ("c1", "3", "2", "ledger", "charge", "SERVER", "UNSET", 20, 60),
]
#  fan-out    web |--------------------| 0..100      two children overlap: together they cover 10..70
#             a      |-----|             10..50
#             b         |-----|          30..70
FAN_OUT = [
    ("f1", "1", None, "web", "GET /", "SERVER", "UNSET", 0, 100),
    ("f1", "2", "1", "a", "left", "SERVER", "UNSET", 10, 50),
    ("f1", "3", "1", "b", "right", "SERVER", "ERROR", 30, 70),
]
#  orphan     web |------| 0..50        mailer's parent is not there
#             mailer           |--| 60..80
ORPHAN = [
    ("e1", "1", None, "web", "GET /", "SERVER", "UNSET", 0, 50),
    ("e1", "2", "99", "mailer", "send", "CONSUMER", "UNSET", 60, 80),
]
#  cycle      a (0..40) and b (10..30) are each other's parents: the earliest is cut loose
CYCLE = [
    ("d1", "1", "2", "a", "ask", "SERVER", "UNSET", 0, 40),
    ("d1", "2", "1", "b", "answer", "SERVER", "UNSET", 10, 30),
]
#  shop       two requests, of which one fails in ledger; cart's call to ledger is a client and a server span
SHOP = [
    ("a1", "1", None, "cart", "POST /pay", "SERVER", "UNSET", 0, 100),
    ("a1", "2", "1", "cart", "POST", "CLIENT", "UNSET", 10, 90),
    ("a1", "3", "2", "ledger", "POST /charge", "SERVER", "UNSET", 20, 80),
    ("b2", "4", None, "cart", "POST /pay", "SERVER", "ERROR", 200, 500),
    ("b2", "5", "4", "cart", "POST", "CLIENT", "ERROR", 210, 490),
    ("b2", "6", "5", "ledger", "POST /charge", "SERVER", "ERROR", 220, 480),
]
DRAWINGS = {"chain": CHAIN, "fan-out": FAN_OUT, "orphan": ORPHAN, "cycle": CYCLE, "shop": SHOP, "one span": CHAIN[:1]}


@pytest.fixture(scope="session", autouse=True)
def _parts_by_themselves():
    """Read each part of a store by itself: those of tests are small, and states would hardly ever be merged."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(part_group, "SPANS", 0)
        yield


@pytest.fixture(params=sorted(DRAWINGS))
def drawing(request):
    """Name and frame of each drawing in turn."""
    return request.param, pd.DataFrame(DRAWINGS[request.param], columns=COLUMNS)


@pytest.fixture
def shop():
    """Two requests, of which one failed."""
    return TraceSet.from_spans(pd.DataFrame(SHOP, columns=COLUMNS))


@pytest.fixture(scope="session")
def shared():
    """The folder ``shared`` beside the repository: exports of other tools, generators."""
    folder = Path(__file__).parents[2] / "shared"
    if not folder.is_dir():
        pytest.skip("the folder shared beside the repository is not here")
    return folder
