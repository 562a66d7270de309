"""``tk.about``: every check, code, column and term has an explanation, and what has none is refused."""

import pytest

import tracekit as tk
from tracekit.checks.registry import CHECKS
from tracekit.glossary import GLOSSARY
from tracekit.loading.building.catalogue import CATALOGUE


@pytest.mark.parametrize("name", [check.name for check in CHECKS])
def test_every_check_says_what_it_examines(name):
    found = tk.about(name)
    assert (found.kind, found.name) == ("check", name)
    assert found.text[0].isupper()
    assert found.text.endswith(".")
    assert "S1" not in found.text
    assert "``" not in found.text
    assert len(found.text) > 30


@pytest.mark.parametrize("topic", ["quality", "sampling", "patterns"])
def test_the_call_of_a_check_runs_it(topic):
    baseline, shop = tk.load_sample("small-shop")
    del baseline
    for check in [one for one in CHECKS if one.topic == topic][:3]:
        found = eval(tk.about(check.name).call, {"tk": tk, "traces": shop})
        assert topic == "sampling" or {one.check for one in found} <= {check.name}


def test_every_code_of_issues_is_explained():
    for code in CATALOGUE:
        assert tk.about(code).kind == "issue"
    assert str(tk.about("dup_identical")).startswith(
        "DUP_IDENTICAL (issue): Identical copy of another span, merged (info)."
    )
    assert "To fix: export the file again as UTF-8." in tk.about("ENC_INVALID_UTF8").text


def test_every_column_of_a_set_of_traces_is_explained():
    for row in tk.describe().itertuples():
        assert tk.about(row.name).kind in {"column", "check"}, row.name
    assert tk.about("duration_ns").text.startswith("end - start in ns")


OTHER_NAMES = {
    "P95_ns": "p95",
    "error_ratio": "error rate",
    "  self   time ": "self time",
    "fdr": "false discovery rate",
    "n+1 pattern": "N+1",
}


@pytest.mark.parametrize(("name", "term"), OTHER_NAMES.items())
def test_terms_are_found_by_their_other_names(name, term):
    found = tk.about(name)
    assert (found.name, found.kind, found.text) == (term, "term", f"{GLOSSARY[term].meaning}.")


def test_an_unknown_name_is_refused_with_similar_ones():
    with pytest.raises(ValueError, match=r"expected a term, .*, found 'samplng bias'; .*sampling bias"):
        tk.about("samplng bias")
    with pytest.raises(ValueError, match="similar: "):
        tk.about("zzzzzz")


def test_something_else_is_refused():
    with pytest.raises(TypeError, match=r"expected a name for tk\.about, such as 'sampling bias', found int"):
        tk.about(3)


def test_a_notebook_shows_it_as_text():
    assert tk.about("N+1")._repr_html_().startswith("<p><b>N+1</b> (term): The same call once")
