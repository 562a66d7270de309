"""Headers with credentials are checked and never shown."""

import pytest

import tracekit as tk
from tracekit.pull.credentials import Credentials


def test_the_repr_contains_names_only():
    assert repr(Credentials(lambda: {"Authorization": "Bearer abcdef"})) == "Credentials(Authorization)"


def test_values_are_masked():
    one = Credentials(lambda: {"Authorization": "Bearer abcdef"})
    assert one.cleaned("no Bearer abcdef, no abcdef") == "no ***, no ***"


@pytest.mark.parametrize("text", ["Authorization Bearer abcdef", "Author ization: abcdef", ": abcdef"])
def test_a_line_that_is_no_header_is_refused_without_showing_it(tmp_path, text):
    (tmp_path / "headers").write_text(f"X-Scope-OrgID: a\n{text}\n")
    with pytest.raises(
        tk.PullError, match=r"expected 'Name: value' in line 2 of .*headers, found something else"
    ) as caught:
        Credentials(tmp_path / "headers")
    assert "abcdef" not in str(caught.value)


def test_a_line_break_in_a_header_is_refused():
    with pytest.raises(tk.PullError, match="an invalid value of 'X-Token' \\(not shown\\)") as caught:
        Credentials(lambda: {"X-Token": "abcdef\r\nHost: elsewhere"})
    assert "abcdef" not in str(caught.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(tk.PullError, match="nowhere: No such file or directory; check credentials="):
        Credentials(tmp_path / "nowhere")
