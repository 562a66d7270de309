import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw

from tracekit.analysis.critical_path.compute import critical_path
from tracekit.traces import TraceSet

PREFIX = "attributes.cgx.critical_path."
LIKE_THE_PROCESSOR = {"scope": "roots", "skew": "off", "overflow": "clip", "touching": False}
#  web |--------------------| 0..100    lock and charge touch at 40: charge ends last; a chain that asks for a gap
#  lock  |----|               10..40    between calls loses lock, and its time goes to web
#  charge     |-------|       40..90
#  audit          |--|        50..60    within charge
COLUMNS = ["span_id", "parent_span_id", "name", "start_ns", "end_ns"]
DRAWN = [
    ("1", None, "web", 0, 100),
    ("2", "1", "lock", 10, 40),
    ("3", "1", "charge", 40, 90),
    ("4", "3", "audit", 50, 60),
]
#  what the collector's coralogix processor writes for it: only spans on its path, with own and whole time
WRITTEN = {"web": (50, 100), "charge": (40, 50), "audit": (10, 10)}


def marked(written=WRITTEN, *, trace="a1", truth=True, prefix=PREFIX):
    frame = pd.DataFrame(DRAWN, columns=COLUMNS).assign(trace_id=trace, service_name="s")
    told = [written.get(name) for name in frame["name"]]
    frame[f"{prefix}is_on_path"] = pd.Series([truth if each else None for each in told], dtype=object)
    for at, name in enumerate(("exclusive_duration_ns", "inclusive_duration_ns")):
        frame[f"{prefix}{name}"] = pd.Series([each[at] if each else None for each in told], dtype=object)
    return frame


def path_of(*frames, **options):
    return critical_path(TraceSet.from_spans(pd.concat(frames)), **options)


def test_walked_by_the_same_rules_everything_agrees():
    result = path_of(marked(), **LIKE_THE_PROCESSOR).marks()
    assert result.differences.empty
    assert result.traces[["span_count", "agreeing_count", "agreement_ratio", "moved_ns"]].to_numpy().tolist() == [
        [4, 4, 1, 0]
    ]
    assert result.traces["is_equal"].tolist() == [True]
    spans = result.spans.set_index("operation")
    assert spans["marked_time_ns"].to_dict() == spans["path_time_ns"].to_dict()
    assert spans["marked_total_ns"].to_dict() == spans["path_total_ns"].to_dict()
    assert result.prefix == "cgx."


def test_a_lost_sibling_is_found_and_its_time_counted():
    result = path_of(marked()).marks()
    spans = result.spans.set_index("operation")
    assert spans["verdict"].to_dict() == {
        "web": "other time",
        "lock": "only here",
        "charge": "agrees",
        "audit": "agrees",
    }
    assert spans.loc["lock", ["is_marked", "on_path", "marked_time_ns", "path_time_ns"]].tolist() == [
        False,
        True,
        0,
        30,
    ]
    assert result.differences["operation"].tolist() == ["web", "lock"]
    assert result.traces[["marked_time_ns", "path_time_ns", "moved_ns"]].to_numpy().tolist() == [[100, 100, 30]]
    assert repr(result) == "PathMarks(cgx.critical_path: 2 of 4 spans agree, 30.0% of path time differs, 1 traces)"
    assert "<p>PathMarks(cgx" in result._repr_html_()


def test_marks_of_unawaited_spans_and_sums_that_differ():
    written = {"web": (0, 100), "lock": (30, 30), "charge": (70, 70), "audit": (20, 20)}
    frame = marked(written)
    frame.loc[frame["name"] == "charge", "end_ns"] = 45  # within which audit is not
    result = path_of(frame).marks()
    spans = result.spans.set_index("operation")
    assert spans.loc["audit", ["is_marked", "on_path", "verdict"]].tolist() == [True, False, "only marked"]
    row = result.traces.iloc[0]
    assert row["path_time_ns"] == 100
    assert row["marked_time_ns"] == 120
    assert row["moved_ns"] == (70 - 5) + 20  # what is too much on charge and audit; 65 of it are missing on web


def test_traces_without_marks_and_marks_without_a_value_are_counted():
    plain = marked({}, trace="b2")
    denied = marked(trace="c3", truth="false")
    odd = marked(trace="d4", truth="perhaps")
    result = path_of(marked(), plain, denied, odd).marks()
    assert result.unmarked_trace_count == 1
    assert result.unreadable_count == 3
    assert result.traces["agreeing_count"].tolist() == [2, 0, 0]
    assert repr(result).endswith("3 traces, 1 without marks, 3 marks unreadable)")


def test_marks_without_times_are_compared_by_membership():
    frame = marked().drop(columns=[f"{PREFIX}exclusive_duration_ns", f"{PREFIX}inclusive_duration_ns"])
    result = path_of(frame).marks()
    assert result.differences["verdict"].tolist() == ["only here"]
    assert result.spans["marked_time_ns"].isna().tolist() == [True, False, True, True]


def test_other_prefixes():
    assert path_of(marked(prefix="attributes.critical_path.")).marks().prefix == ""
    both = pd.concat([marked(), marked(trace="b2", prefix="attributes.mine.critical_path.")])
    assert path_of(both).marks(prefix="mine.").traces["trace_id"].tolist() == ["0" * 30 + "b2"]
    with pytest.raises(ValueError, match=r"found prefixes: 'cgx.', 'mine.'; choose one: path.marks\(prefix=...\)"):
        path_of(both).marks()
    with pytest.raises(
        ValueError, match=r"an attribute yours.critical_path.is_on_path, found prefixes: 'cgx.', 'mine.'"
    ):
        path_of(both).marks(prefix="yours.")


def test_no_marks_at_all():
    with pytest.raises(ValueError, match="found prefixes: none; a collector's processor writes them"):
        critical_path(draw("a1 1 - s SERVER 0 10")).marks()


def test_roots_that_are_no_request_are_marked_there_and_not_here():
    frame = pd.concat([marked(), marked().iloc[:1].assign(span_id="9", start_ns=20, end_ns=30)])
    frame.loc[frame["span_id"] == "9", f"{PREFIX}exclusive_duration_ns"] = 10
    assert path_of(frame).marks().spans.set_index("span_id")["verdict"].iloc[-1] != "only marked"
    assert "only marked" in path_of(frame).marks().spans["verdict"].tolist()
    spans = path_of(frame, **LIKE_THE_PROCESSOR).marks().spans
    assert spans["verdict"].tolist() == ["agrees"] * 5


def test_marks_of_many_random_traces_agree_with_the_paths_that_wrote_them():
    rng = np.random.default_rng(3)
    parts = []
    for trace in range(40):
        count = int(rng.integers(1, 9))
        start = rng.integers(0, 50, count)
        parts.append(
            pd.DataFrame({"start_ns": start, "end_ns": start + rng.integers(0, 60, count)}).assign(
                trace_id=f"{trace + 1:x}",
                span_id=[f"{at + 1:x}" for at in range(count)],
                parent_span_id=[None, *(f"{int(rng.integers(1, at + 1)):x}" for at in range(1, count))],
                name="x",
            )
        )
    frame = pd.concat(parts, ignore_index=True)
    found = path_of(frame).spans.set_index(["trace_id", "span_id"])
    names = [
        (f"{int(t, 16):032x}", f"{int(s, 16):016x}") for t, s in zip(frame["trace_id"], frame["span_id"], strict=True)
    ]
    mine = found.loc[names]
    on_path = mine["on_path"].to_numpy()
    frame[f"{PREFIX}is_on_path"] = pd.Series(np.where(on_path, "true", None), dtype=object)
    frame[f"{PREFIX}exclusive_duration_ns"] = pd.Series(np.where(on_path, mine["path_time_ns"], None), dtype=object)
    assert path_of(frame).marks().differences.empty
    at = int(np.flatnonzero(on_path)[5])
    frame.loc[at, f"{PREFIX}exclusive_duration_ns"] += 7
    result = path_of(frame).marks()
    assert result.differences[["trace_id", "span_id"]].to_numpy().tolist() == [list(names[at])]
    assert result.traces["moved_ns"].sum() == 7
