"""The terms of reports: each name once, in sentences that a reader understands."""

import re

import pytest

import tracekit as tk
from tracekit.glossary import GLOSSARY, NAMES, definition_of


@pytest.mark.parametrize("name", GLOSSARY)
def test_a_meaning_is_a_sentence_without_its_full_stop(name):
    meaning = GLOSSARY[name].meaning
    assert meaning[0].isupper() or meaning[0].isdigit()
    assert meaning[-1] not in ".!?"
    assert len(meaning) < 200
    assert definition_of(name) == f"{meaning}."


def test_a_name_stands_for_one_term():
    names = [word.casefold() for name, term in GLOSSARY.items() for word in (name, *term.also)]
    assert len(names) == len(set(names)) == len(NAMES)


@pytest.mark.parametrize("name", [name for name, term in GLOSSARY.items() if "tk." in term.call])
def test_the_call_is_one_that_there_is(name):
    (function,) = re.findall(r"\btk\.(\w+)", GLOSSARY[name].call)
    assert function in tk.__all__


@pytest.mark.parametrize("call", [term.call for term in GLOSSARY.values() if "checks=" in term.call])
def test_its_checks_are_ones_that_there_are(call, request):
    traces, _ = tk.load_sample("small-shop")
    assert request
    found = eval(call, {"tk": tk, "traces": traces})
    assert found is not None


def test_what_is_no_term_has_no_definition():
    assert definition_of("size") == ""


def test_heads_of_a_comparison_have_the_definition_of_their_term():
    assert definition_of("p95 (current)") == definition_of("P95") == definition_of("p95")
