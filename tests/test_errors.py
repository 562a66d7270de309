"""The tree of errors: what hangs below what, and what each one carries."""

import importlib
import inspect
import re

import pytest

from tracekit.errors import FilterError, LoadError, PullError, RenderError, SchemaError, TracekitError

errors = importlib.import_module("tracekit.errors")  # tracekit.errors is the analysis
TREE = {LoadError, SchemaError, PullError, FilterError, RenderError}


def test_every_error_is_in_the_tree_and_in_its_drawing():
    classes = {c for _, c in inspect.getmembers(errors, inspect.isclass) if issubclass(c, Exception)}
    assert classes == TREE | {TracekitError}
    drawn = re.findall(r"^ {4,}(\w+Error)\b", errors.__doc__, re.MULTILINE)
    assert drawn == ["TracekitError", "LoadError", "SchemaError", "PullError", "FilterError", "RenderError"]
    assert set(TracekitError.__subclasses__()) >= TREE
    assert not any(issubclass(error, (ValueError, TypeError)) for error in TREE)


@pytest.mark.parametrize(
    ("error", "members"),
    [
        (LoadError("m", source="a", record=3, code="C"), {"source": "a", "record": 3, "code": "C"}),
        (LoadError("m"), {"source": "", "record": None, "code": ""}),
        (SchemaError("m", missing=["a"], found=["b", "c"]), {"missing": ("a",), "found": ("b", "c")}),
        (SchemaError("m"), {"missing": (), "found": ()}),
        (PullError("m", operation="O", request_id="r"), {"operation": "O", "request_id": "r"}),
        (FilterError("m", expression="x >", position=3), {"expression": "x >", "position": 3}),
        (RenderError("m"), {}),
    ],
)
def test_an_error_has_its_message_and_fields(error, members):
    assert str(error) == "m"
    assert {name: getattr(error, name) for name in members} == members
    with pytest.raises(TracekitError, match=r"^m$"):
        raise error
