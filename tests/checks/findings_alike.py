"""Findings that must agree, whether they are of traces in memory or of parts."""

import pytest

from tests.loading.store.split_stores import same


def of(findings):
    """What findings say."""
    return [(one.check, one.severity, one.headline, one.exemplars, one.remedy) for one in findings]


def numbers(finding):
    """The numbers of a finding by name."""
    return dict(vars(finding)["values"])


def agree(found, expected):
    """Two values, numbers to 1e-9."""
    if isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-9, nan_ok=True)
    else:
        assert found == expected


def close(found, expected):
    """Findings of two cases: the same words, numbers and rows."""
    assert of(found) == of(expected)
    for one, other in zip(found, expected, strict=True):
        assert numbers(one).keys() == numbers(other).keys()
        for name, value in numbers(other).items():
            agree(numbers(one)[name], value)
        if other.estimate is not None:
            for name in ("value", "low", "high", "n"):
                agree(float(getattr(one.estimate, name)), float(getattr(other.estimate, name)))
        if other.evidence is not None:
            frames = [each.drop(columns="root_row", errors="ignore") for each in (one.evidence, other.evidence)]
            names = frames[1].select_dtypes("category").columns
            same(*(each.astype(dict.fromkeys(names, object)) for each in frames))
