"""Cases of other programs, and how they answer.

Everything is equal but this, on purpose.  Clocks are corrected where the case expects it (by its one trace, so with
``min_traces=1``), and left alone, with ``skew="off"``, beside programs that leave them alone.

========================================  =========  ==================================================================
case                                      against    reason
========================================  =========  ==================================================================
edge/orphan_inside_root                   all runs   a span whose parent nobody sent hangs below the root (``expected``)
edge/only_orphans                         all        spans that name one missing parent share a (missing) root
edge/two_roots_disjoint, _overlap         expected   one request a trace; equal with ``scope="roots"``
edge/self_parent, edge/cycle              expected   likewise: the cut span is a root beside the request's
edge/self_parent, edge/cycle              jaeger-ui  spans of a cycle are shown, there they are absent
edge/skewed_server_*, client_server_*     CRISP      there a remote child keeps its place outside its parent
crisp/10, 19, 20, one_percent_overlap     CRISP      there calls that overlap by 1 % of the parent follow each other
edge/zero_duration_between_touching       CRISP      an instant breaks no chain
edge/child_covers_parent, jaeger-ui/test8 CRISP      a child that covers its parent is clipped, there it is dropped
edge/parallel_same_end, _identical        CRISP      of calls that end together the longest, then the first
edge/producer_consumer                    CRISP      nobody waits for a consumer
edge/orphan_inside_root                   CRISP      see above
========================================  =========  ==================================================================
"""

import json

import pytest
from critical_path_cases import CASES, crisp_root, load, merged, sections

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.analysis.skew import clock_skew

CONTENT = json.loads(CASES.read_text(encoding="utf-8"))["cases"] if CASES.exists() else []
ORPHANS = {"edge/orphan_inside_root", "edge/only_orphans"}
CYCLES = {"edge/self_parent", "edge/cycle"}
SKEWED = {"edge/skewed_server_disjoint", "edge/skewed_server_partial"}
DELIBERATE = {
    "clip": ORPHANS,
    "auto": ORPHANS,
    "expected": {"edge/only_orphans", "edge/two_roots_disjoint", "edge/two_roots_overlap"} | CYCLES,
    "jaeger-ui": ORPHANS | CYCLES,
    "crisp": SKEWED
    | {f"crisp/{number}" for number in (10, 19, 20)}
    | {f"edge/{name}" for name in ("zero_duration_between_touching", "child_covers_parent", "parallel_same_end")}
    | {f"edge/{name}" for name in ("parallel_identical", "producer_consumer", "orphan_inside_root")}
    | {"edge/one_percent_overlap", "edge/client_server_rename", "jaeger-ui/test8"},
}
pytestmark = pytest.mark.skipif(not CONTENT, reason="the shared folder with critical_path_cases.json is not here")


def printed(found):
    return merged((piece["span_id"], piece["section_start_us"], piece["section_end_us"]) for piece in found)


def answers(case, program):
    """Return our answer and the program's."""
    traces, names = load(case)
    runs = case["runs"]

    def ours(**options):
        return sections(critical_path(traces, **options), names)

    if program == "clip":
        return ours(scope="roots", overflow="clip", skew="off"), printed(runs["reference_clip"])
    if program == "auto":
        return ours(scope="roots", skew="off"), printed(runs["reference_auto"])
    if program == "expected":
        return ours(skew=clock_skew(traces, min_traces=1)), printed(case["expected"])
    if program == "jaeger-ui":
        options = {"scope": "roots", "overflow": "clip", "follows_from": "blocking", "touching": False, "skew": "off"}
        return ours(**options), printed(runs["jaeger_ui"]["sections"])
    path = critical_path(traces, scope=crisp_root(case, traces), overflow="clip", skew="off")
    own = {names[span]: time // 1000 for span, time in zip(path.spans["span_id"], path.own_ns.tolist(), strict=True)}
    return without_zeros(own), without_zeros(runs["crisp"]["exclusive_by_span_us"])


def without_zeros(times):
    return {span: time for span, time in times.items() if time}


def answered(case, program):
    if program == "expected":
        return case["name"].startswith("edge/")  # elsewhere it is jaeger-ui's answer
    return program != "crisp" or "exclusive_by_span_us" in case["runs"]["crisp"]  # a cycle has none


PAIRS = [(case, program) for case in CONTENT for program in DELIBERATE if answered(case, program)]


@pytest.mark.parametrize(("case", "program"), PAIRS, ids=[f"{case['name']}-{program}" for case, program in PAIRS])
def test_equal_unless_listed_in_the_table(case, program):
    ours, theirs = answers(case, program)
    assert (ours != theirs) == (case["name"] in DELIBERATE[program])


@pytest.mark.parametrize("name", sorted(CYCLES | {"edge/two_roots_disjoint", "edge/two_roots_overlap"}))
def test_several_roots_are_as_expected_root_by_root(name):
    case = next(case for case in CONTENT if case["name"] == name)
    traces, names = load(case)
    assert sections(critical_path(traces, scope="roots"), names) == printed(case["expected"])
