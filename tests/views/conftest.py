import pytest
from hand_drawn import PAY, spans

from tracekit import TraceSet


@pytest.fixture
def pay():
    return TraceSet.from_spans(spans(PAY).assign(**{"attributes.tenant": ["blue", None, "blue", None, "a\u202eb"]}))
