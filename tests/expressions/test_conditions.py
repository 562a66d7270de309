"""Conditions over columns of spans: what pandas answers where pandas may be asked, and nothing else at all."""

import random
import time

import pandas as pd
import pytest

from tracekit import FilterError, TraceSet
from tracekit.analysis.critical_path.compute import critical_path
from tracekit.expressions.conditions import evaluate
from tracekit.grouping import values

S = 10**9
BASE = 1_750_000_000 * S
FRAME = pd.DataFrame(
    {
        "trace_id": ["a1", "a1", "b2", "b2", "c3"],
        "span_id": ["1", "2", "3", "4", "5"],
        "parent_span_id": [None, "1", None, "3", None],
        "name": ["GET /a", "pay", "GET /b.c", "pay*", "größe"],
        "service_name": ["web", "ledger", "web", None, "web"],
        "peer_service_name": ["ledger", None, "web", None, None],
        "status_code": ["OK", "ERROR", "UNSET", "ERROR", "OK"],
        "start_ns": [BASE, BASE + 1, BASE + S, BASE + S, BASE + 2 * S],
        "end_ns": pd.array([BASE + 9, BASE + 3, BASE + 2 * S, None, BASE + 3 * S], "Int64"),
    }
)
SHOP = TraceSet.from_spans(FRAME)
SPANS = SHOP.spans
TOLD = TraceSet.from_spans(
    FRAME.assign(
        **{
            "attributes.app.tier": [None, "gold", None, None, "free"],
            "attributes.items": [None, 12, None, 3, None],
            "attributes.note": ["7", "x", None, None, "-1.5"],
            "resource.zone": ["a", "b", "a", "a", "b"],
        }
    )
)


def column_of(name):
    return values(SHOP, name)


def rows(expression):
    mask = evaluate(expression, column_of)
    return mask.index[mask.fillna(value=False).astype(bool)].tolist()


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("is_error", [1, 3]),
        ("not is_error", [0, 2, 4]),
        ("~is_error & (depth == 0)", [0, 2, 4]),
        ("is_error ^ (service_name == 'web')", [0, 1, 2, 3, 4]),
        ("is_error == 1 and is_error == True", [1, 3]),
        ("service_name in ['ledger', 'x']", [1]),
        ("service_name not in ('ledger',)", [0, 2, 3, 4]),
        ("depth in {1, 7}", [1, 3]),
        ("depth in []", []),
        ("service_name == peer_service_name", [2]),
        ("name.contains('.')", [2]),
        ("name.str.contains('ay')", [1, 3]),
        ("name.startswith('GET ') and not name.endswith('c')", [0]),
        ("name.like('*ay*')", [1, 3]),
        ("name.like('GET ??')", [0]),
        ("parent_span_id.isna()", [0, 2, 4]),
        ("end_ns.notnull() and depth > 0", [1]),
        (f"start_ns > {BASE}", [1, 2, 3, 4]),
        (f"start_ns == {BASE + 1}", [1]),
        ("1 < duration_ns < 10", [0, 1]),
        ("duration_ns / 1_000_000 >= 1000", [2, 4]),
        ("-duration_ns < -5", [0, 2, 4]),
        ("+depth - 1 == 0", [1, 3]),
        ("start_time >= '2025-06-15T15:06:41Z'", [2, 3, 4]),
        ("'2025-06-15 15:06:41' == start_time", [2, 3]),
        ("end_time > start_time", [0, 1, 2, 4]),
        ("duration_ns % 2 == 0", [1, 2, 4]),
        ("  (depth >\n 0)  ", [1, 3]),
        ("service_name == 'größe' or name == 'größe'", [4]),
        ("depth / 0 > 1", [1, 3]),
        ("start_ns * 1000 > 9223372036854775807", [0, 1, 2, 3, 4]),
        ("depth < 99999999999999999999999", [0, 1, 2, 3, 4]),
        (" or ".join(f"depth == {n}" for n in range(1, 3000)), [1, 3]),
    ],
)
def test_known_answers(expression, answer):
    assert rows(expression) == answer


def drawn(draw, deep):
    """Return a random condition that pandas reads in the same way."""
    if deep and draw.random() < 0.6:
        left, right = drawn(draw, deep - 1), drawn(draw, deep - 1)
        return draw.choice([f"({left}) and ({right})", f"({left}) or ({right})", f"not ({left})"])
    number = draw.choice(["depth", "duration_ns", "start_ns", "dropped_events_count", "record_number * 2 - depth"])
    value = draw.choice([0, 1, 2.5, 8, BASE, BASE + S])
    text = draw.choice(["name", "service_name", "status_code", "span_id", "parent_span_id"])
    label = draw.choice(["web", "ledger", "pay", "ERROR", "0000000000000001", "nobody"])
    return draw.choice(
        [
            f"{number} {draw.choice(['==', '!=', '<', '<=', '>', '>='])} {value}",
            f"{text} {draw.choice(['==', '!='])} '{label}'",
            f"{text} in ['{label}', 'web']",
            "is_error",
        ]
    )


def test_expressions_of_pandas_give_the_result_of_pandas():
    draw = random.Random(6)
    for _ in range(80):
        expression = drawn(draw, 3)
        oracle = SPANS.eval(expression, engine="python").astype("boolean").fillna(value=False)
        assert rows(expression) == oracle.index[oracle].tolist(), expression


CANARY = "__import__('pathlib').Path(r'{place}').write_text('x')"
HOSTILE = [
    "name.__class__.__init__.__globals__.get('sys').modules.get('os').system('touch {place}') == 1",
    "name.to_pickle(r'{place}') == 1",
    "name.str.__class__ == 1",
    f"{CANARY} == 1",
    f"[{CANARY} for x in [1]] == depth",
    f"(lambda: {CANARY})() == depth",
    "depth == eval('1')",
    "@name == 'x'",
    "depth > @open",
    "depth == depth.index",
    "depth[0] == 1",
    "f'{{name}}' == name",
    "(depth := 1) == depth",
    "depth if is_error else depth",
    "depth ** 9 > 1",
    "depth << 2 > 1",
    "depth is depth",
    "depth == None",
    "depth == 1j",
    "name == b'x'",
    "name.like(name)",
    "name.contains(*['x'])",
    "name.contains(part='x')",
    "name.contains('x').contains('y')",
    "'x'.contains('x') == is_error",
    "service_name == ['web']",
    "start_time + 1 > start_time",
    "__class__ == 1",
    "`name` == 'x'",
    "await depth",
    "yield depth",
    "*depth",
    "import os",
    "depth; depth",
    "depth == ...",
]


@pytest.mark.parametrize("expression", HOSTILE)
@pytest.mark.parametrize("ask", [SHOP.where, lambda text: critical_path(SHOP).what_if({text: 0.5})])
def test_an_expression_is_data_and_never_run(tmp_path, expression, ask):
    place = tmp_path / "canary"
    text = expression.replace("{place}", str(place)).replace("{{", "{").replace("}}", "}")
    with pytest.raises(FilterError, match=r"^expected .*, found .* at \d+|^expected .*\n") as refused:
        ask(text)
    assert not place.exists()
    assert refused.value.expression == text
    assert 0 <= refused.value.position <= len(text)


@pytest.mark.parametrize(
    ("expression", "message", "position"),
    [
        (
            "depth > 0 and name.to_csv('x')",
            r"expected columns and attributes of spans, numbers and texts, .*found .*to_csv",
            14,
        ),
        ("name == 'ö' and depth ** 2 > 1", r"joined \(and, or, not\), and \.contains\(\)", 16),
        (
            "(depth > 0\n and colour > 1)",
            "or request.<key>, found 'colour' at 16",
            16,
        ),
        ("  colour > 1", "found 'colour' at 2", 2),
        ("(depth > 0\n and )", "invalid syntax at 16", 16),
        ("depth > 1 & is_error", "expected a condition for each side of 'and'.*need parentheses", 8),
        ("not depth", "expected a condition for not", 4),
        ("depth + 'x' > 1", r"expected numbers on both sides of \+ - \* / // %", 0),
        ("1 / 0 > depth", "expected numbers that can be calculated, found division by zero", 0),
        ("depth > 'x'", "expected a condition over columns of spans that compares .*, found a number and a text", 0),
        ("start_time > 'soon'", "expected a time such as '2024-05-14T14:00:00Z', found", 13),
        ("start_time > name", "expected a time such as .*, found a column of texts", 13),
        ("'x' in name", r"expected a list of constants after 'in' \(for a part of a text: column.contains", 7),
        ("name in ['x', 1]", "expected a column of texts or numbers before 'in', and constants of that kind", 0),
        ("name.str.contains('a|b')", "expected text without regular expression syntax", 18),
        ("depth.contains('x')", r"expected a column of texts and one text for \.contains\(\)", 0),
        ("name.isna('x')", r"expected \.isna\(\) without arguments", 0),
        ("depth is 1", "expected one of == != < <= > >= in", 0),
        ("1 == 1", "which is not a condition: compare a column", 0),
        ("depth > \ud800", "expected a condition over columns of spans", None),
    ],
)
def test_an_error_names_the_place_and_the_allowed_values(expression, message, position):
    with pytest.raises(FilterError, match=message) as refused:
        evaluate(expression, column_of)
    assert position is None or refused.value.position == position


@pytest.mark.parametrize(
    "expression",
    [
        "-" * 10_000 + "depth",
        "+".join(["depth"] * 10_000) + " > 0",
        "not " * 5_000 + "is_error",
        "(" * 5_000 + "depth" + ")" * 5_000,
        "~" * 150 + "is_error",
        "name" + ".str" * 20_000,
        "a" * 1_000_000,
        "name == '" + "a" * 1_000_000,
        "depth > 0 and " + "9" * 1_000_000,
        "[" * 1_000_000,
        "annotation." + "a" * 1_000_000 + " > <",
        'service("' + "a" * 1_000_000 + '") x y',
    ],
)
def test_long_and_deep_expressions_are_refused_at_once_with_short_messages(expression):
    began = time.process_time()
    with pytest.raises(FilterError, match="expected") as refused:
        SHOP.where(expression)
    assert time.process_time() - began < 2
    assert len(str(refused.value)) < 1500
    assert refused.value.expression == expression


def test_no_span_at_all():
    nobody = SHOP.where("service_name == 'nobody'")
    assert len(nobody.where("name.like('*') and not depth in [1] or duration_ns * 2 > 1")) == 0


# ------------------------------------------------------------------ attributes


@pytest.mark.parametrize(
    ("expression", "answer"),
    [
        ("app.tier == 'gold'", [1]),
        ("request.app.tier == 'gold'", [0, 1]),
        ("request.app.tier in ['gold', 'free'] and not is_error", [0, 4]),
        ("app.tier.startswith('g') or app.tier.isna() and depth > 0", [1, 3]),
        ("resource.zone != 'a'", [1, 4]),
        ("zone == 'b'", [1, 4]),
        ("items > 3", [1]),
        ("3 <= items < 12", [3]),
        ("note > 0", [0]),
        ("note < 0", [4]),
        ("note == '7'", [0]),
        ("request.name == 'GET /a'", [0, 1]),
    ],
)
def test_attributes_have_the_names_that_by_has(expression, answer):
    mask = evaluate(expression, lambda name: values(TOLD, name))
    assert mask.index[mask.fillna(value=False).astype(bool)].tolist() == answer
    if answer:
        assert TOLD.where(expression).trace_ids == sorted({TOLD.trace_ids[TOLD.forest.trace[row]] for row in answer})


def test_masks_and_functions_take_the_same_names():
    wanted = TOLD.where("request.app.tier == 'gold'").trace_ids
    assert len(wanted) == 1
    assert TOLD.where(TOLD.attribute("request.app.tier") == "gold").trace_ids == wanted
    assert TOLD.where(lambda spans: spans["request.app.tier"] == "gold").trace_ids == wanted
    assert TOLD.where(lambda spans: (spans["app.tier"] == "gold") & (spans.depth > 0)).trace_ids == wanted
    assert critical_path(TOLD, scope="app.tier == 'gold'").tree.root.tolist() == [1]
    with pytest.raises(ValueError, match=r"found 'request\.teir'; did you mean request\.app\.tier"):
        TOLD.where(lambda spans: spans["request.teir"] == "gold")


def test_a_function_changes_nothing_of_the_traces():
    def change(spans):
        spans["name"] = "changed"
        return spans["depth"] == 0

    assert len(TOLD.where(change)) == 3
    assert TOLD.spans["name"].tolist() == FRAME["name"].tolist()


@pytest.mark.parametrize(
    ("expression", "advice"),
    [
        (
            "attributes.app.tier == 'gold'",
            "write app.tier == 'gold', or as an X-Ray filter expression annotation.app.tier = \"gold\"",
        ),
        ("is_error and annotation.app.tier == 'gold'", "write is_error and app.tier == 'gold', or as an X-Ray"),
        ("request.tier == 'gold'", "write request.app.tier == 'gold'"),
        ("app.teir.startswith('g')", r"write app.tier.startswith\('g'\)$"),
        ("service_nam == 'web'", "write service_name == 'web'$"),
        ("zzz == 1", r"traces.attributes\['key'\].unique\(\) lists the attributes, tracekit.describe\(\) the columns"),
        ("app.tier = 'gold'", "write app.tier == 'gold'; allowed are"),
    ],
)
def test_an_unknown_name_comes_with_the_line_that_works(expression, advice):
    with pytest.raises(FilterError, match=advice):
        TOLD.where(expression)


def test_xray_filters_and_conditions_of_the_same_attribute_agree():
    wanted = TOLD.where("app.tier == 'gold'").trace_ids
    assert TOLD.where('annotation.app.tier = "gold"').trace_ids == wanted


@pytest.mark.parametrize("text", ["2025-06-15 15:06:41", "2025-06-15T15:06:41Z", "2025-06-15 17:06:41+02:00"])
def test_times_without_a_zone_are_utc_in_every_filter(text):
    wanted = TOLD.trace_ids[1:]
    assert TOLD.where(f"start_time >= '{text}'").trace_ids == wanted
    assert TOLD.where(lambda spans: spans["start_time"] >= text).trace_ids == wanted
    assert TOLD.between(text).trace_ids == wanted
