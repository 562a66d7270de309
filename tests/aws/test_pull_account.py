"""The account of a pull beside one kept in a plain dictionary."""

import tracemalloc

from fake_xray import trace_id
from hypothesis import given
from hypothesis import strategies as st

from tracekit.aws.pull.account import Account

PAIRS = [("returned", ""), ("not_found", ""), ("unprocessed", ""), ("failed", "refused: bad"), ("failed", "HTTP 500")]
NUMBERS = st.integers(0, 12) | st.sampled_from([1 << 8, 1 << 40, 7 << 88])  # ids that end in zero bytes among them


@given(st.lists(NUMBERS), st.lists(st.dictionaries(NUMBERS, st.sampled_from(PAIRS), max_size=5)))
def test_it_is_a_dictionary(asked, answers):
    account, known = Account(map(trace_id, asked)), dict.fromkeys(map(trace_id, asked), ("unprocessed", ""))
    for answer in answers:
        found = {trace_id(number): pair for number, pair in answer.items()}
        account.put({**found, "": ("returned", ""), "no id": ("returned", "")})
        known.update({one: pair for one, pair in found.items() if one in known})
    frame = account.frame()
    assert dict(zip(frame["xray_id"], zip(frame["outcome"], frame["reason"], strict=True), strict=True)) == known
    assert frame["xray_id"].tolist() == list(known)
    assert frame.index.tolist() == [one[2:].replace("-", "") for one in known]
    outcomes = [outcome for outcome, _ in known.values()]
    assert account.counts == {outcome: outcomes.count(outcome) for outcome in outcomes}
    again = [one for one, pair in known.items() if pair in {("unprocessed", ""), ("failed", "HTTP 500")}]
    assert list(account.waiting()) == again
    assert account.waiting_count == len(again)
    lost = [one for one, (outcome, _) in known.items() if outcome in {"failed", "not_found"}]
    assert list(account.having("failed", "not_found")) == lost
    assert len(account) == len(known)


def test_retried_ids_are_those_that_waited_at_the_request():
    account = Account(map(trace_id, range(3)))
    waiting = account.waiting()
    account.record_outcomes({trace_id(number): "returned" for number in range(3)})
    assert list(waiting) == [trace_id(number) for number in range(3)]
    assert account.waiting_count == 0


def test_it_uses_few_bytes_per_id_and_none_for_finished_ones():
    count = 20_000
    tracemalloc.start()
    try:
        account = Account(map(trace_id, range(count)))
        held, _ = tracemalloc.get_traced_memory()
        for low in range(0, count, 5):
            account.record_outcomes({trace_id(number): "returned" for number in range(low, low + 5)})
        settled, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert held < 30 * count, "sixteen of the id, four of its place, four of its state"
    assert settled - held < 100_000, "the last few hundred ids"
    assert account.counts == {"returned": count}
