"""Where parts are read: the same numbers in this process, in others and on a cluster; what happens when one fails."""

import functools
import operator
import os
import pickle
import signal
import subprocess
import sys
import textwrap
import weakref
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

import tracekit as tk
from tests.loading.store.split_stores import same, split
from tracekit.analysis.latency import tabulate
from tracekit.analysis.partials import _Partial
from tracekit.errors import LoadError
from tracekit.loading.store import cluster, execution
from tracekit.loading.store.part_group import PartGroup
from tracekit.loading.store.sent_once import sent_once


@pytest.fixture(scope="module")
def during():
    _, current = tk.load_sample("checkout-regression")
    return current


@pytest.fixture(scope="module")
def store(during, tmp_path_factory):
    return split(during, tmp_path_factory.mktemp("stores") / "a.parquet", 6)


@pytest.fixture(scope="module")
def client():
    distributed = pytest.importorskip("distributed", reason="needs dask and distributed")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
        ) as cluster,
        distributed.Client(cluster) as connected,
    ):
        yield connected


def ids_of(traces):
    """A state whose order shows."""
    return [(os.getpid(), traces.trace_ids[0])]


def joined(first, second):
    return first + second


def test_parts_are_merged_in_their_order_in_every_place(store, client):
    expected = [part.trace_ids[0] for part in store.parts()]
    for on in (None, 1, 2, client, client.scheduler.address):
        found = store.reduce(ids_of, joined, on=on)
        assert [name for _, name in found] == expected
        is_own = {process == os.getpid() for process, _ in found}
        assert is_own == {on in (None, 1)}


def test_the_same_numbers_in_every_place(during, store, client):
    expected = tk.latency(during), tk.service_graph(during)
    for on in (1, 2, client):
        same(tk.latency(store, on=on).table, expected[0].table)
        same(tk.service_graph(store, on=on).calls, expected[1].calls)


@given(st.lists(st.text(max_size=2), min_size=1, max_size=70))
def test_merged_states_are_those_of_a_left_fold_in_few_steps(states):
    order, depth = execution.merged([(state, 0) for state in states], depths)
    assert order == functools.reduce(operator.add, states)
    assert depth == (len(states) - 1).bit_length()


def depths(first, second):
    """A state whose order shows, and how often its parts were merged at most."""
    return first[0] + second[0], 1 + max(first[1], second[1])


def test_few_states_wait_to_be_merged():
    alive, most = weakref.WeakSet(), []

    class State:
        def __init__(self):
            alive.add(self)

    def made():
        for _ in range(256):
            most.append(len(alive))
            yield State()

    assert isinstance(execution.merged(made(), lambda *_: State()), State)
    assert max(most) <= 10  # the binary digits of 256, and the latest one


def test_parts_are_read_as_one_in_every_place(store, client):
    workers = []

    def group(tasks, count):
        workers.append(count)
        return [PartGroup(tuple(tasks[:4])), *tasks[4:]]

    expected = [PartGroup(tuple(store.tasks[:4])).read(), store.part(4), store.part(5)]
    for on in (1, 2, client, client.scheduler.address):
        found = execution.over_tasks(store.tasks, ids_of, joined, on, group)
        assert [name for _, name in found] == [part.trace_ids[0] for part in expected]
    assert workers == [1, 2, 2, 2]


def test_conditions_travel_with_the_parts(during, store, client):
    limit = 100_000_000
    for on in (2, client):
        slow = store.where(lambda spans: spans["duration_ns"] > limit)
        same(tk.latency(slow, on=on).table, tk.latency(during.where(f"duration_ns > {limit}")).table)


def test_processes_are_started_only_for_large_stores_with_room(store, monkeypatch):
    tasks = store.tasks
    assert execution._process_count(tasks, None) == 1
    monkeypatch.setattr(execution, "_SPANS", 1)
    monkeypatch.setattr(execution, "processors", lambda: 4)
    assert execution._process_count(tasks, None) == 4
    largest = max(task.span_count for task in tasks) * execution.BYTES_PER_SPAN
    monkeypatch.setattr(execution, "free_bytes", lambda: 3 * largest)
    assert execution._process_count(tasks, None) == 3
    monkeypatch.setattr(execution, "free_bytes", lambda: 0)
    assert execution._process_count(tasks, None) == 1
    assert execution._process_count(tasks, 100) == len(tasks)


def test_other_places_are_refused(during, store):
    for on in (0, -1, True):
        with pytest.raises(ValueError, match="expected on to be None, a number of processes from 1, or a Dask client"):
            tk.latency(store, on=on)
    with pytest.raises(ValueError, match="expected a TraceStore with on=, found a TraceSet"):
        tk.latency(during, on=2)


def test_an_object_that_is_no_client_is_refused(store):
    pytest.importorskip("distributed", reason="needs dask and distributed")
    with pytest.raises(TypeError, match="expected on to be None, a number of processes, a Dask client or its address"):
        tk.latency(store, on=[1])


def test_without_dask_the_extra_is_named(store, monkeypatch):
    monkeypatch.setitem(sys.modules, "dask", None)
    with pytest.raises(ImportError, match=r"pip install 'tracekit-notebook\[dask\]', or leave out on="):
        tk.latency(store, on="tcp://127.0.0.1:1")


def test_a_damaged_part_is_named_wherever_it_is_read(during, tmp_path, client):
    store = split(during, tmp_path / "a.parquet", 3)
    spans = tmp_path / "a.parquet" / "part-00001" / "spans.parquet"
    spans.write_bytes(spans.read_bytes()[:-7])
    for on in (1, 2, client):
        with pytest.raises(LoadError, match=r"part-00001.*spans\.parquet") as caught:
            tk.latency(store, on=on)
        assert caught.value.code


def kill_own_process(_):
    os.kill(os.getpid(), signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_process_that_ends_is_reported_and_the_next_call_works(store):
    with pytest.raises(LoadError, match=r"found that it ended \(out of memory\?\); read with on=1"):
        store.reduce(kill_own_process, joined, on=2)
    assert len(store.reduce(ids_of, joined, on=2)) == store.part_count


class KilledOnce:
    """A state whose first computation ends its process."""

    def __init__(self, mark):
        self.mark = mark

    def __call__(self, traces):
        try:
            os.close(os.open(self.mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return len(traces)
        os.kill(os.getpid(), signal.SIGKILL)
        return None


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no such signal")
def test_a_worker_of_a_cluster_that_is_killed_changes_nothing(during, store, client, tmp_path):
    assert store.reduce(KilledOnce(str(tmp_path / "killed")), int.__add__, on=client) == len(during)
    assert (tmp_path / "killed").exists()


def test_little_is_sent_to_the_scheduler_for_a_part(store):
    cloudpickle = pytest.importorskip("cloudpickle")
    by_part = [len(cloudpickle.dumps(execution.Job(task, ids_of))) for task in store.tasks]
    assert max(by_part) < 20_000


def test_a_script_without_a_guard_is_not_run_again(store, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import tracekit as tk
        print("started")
        print(len(tk.latency(tk.open({str(store.path)!r}), on=2).table))
        """)
    )
    run = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, timeout=120, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["started", str(len(tk.latency(store).table))]


@pytest.mark.skipif(os.name == "nt", reason="no such signal")
def test_an_interrupt_ends_the_processes(store, tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent(f"""
        import os, signal, time
        import tracekit as tk

        def slow(traces):
            print("begun", os.getpid(), flush=True)
            time.sleep(600)

        try:
            tk.open({str(store.path)!r}).reduce(slow, max, on=2)
        except KeyboardInterrupt:
            print("interrupted", flush=True)
        """)
    )
    with subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True) as run:
        begun = [run.stdout.readline().split() for _ in range(2)]
        run.send_signal(signal.SIGINT)
        rest, _ = run.communicate(timeout=120)
    assert "interrupted" in rest
    for word, process in begun:
        assert word == "begun"
        with pytest.raises(ProcessLookupError):
            os.kill(int(process), 0)


def test_a_packed_value_stays_as_it_is_and_says_its_length():
    pytest.importorskip("distributed", reason="needs dask and distributed")
    value = [1.5] * 10_000
    packed = cluster._Packed.of(value)
    packed.value().clear()
    moved = pickle.dumps(packed)
    assert pickle.loads(moved).value() == packed.value() == value
    assert 5 * len(moved) < len(packed.data) < sys.getsizeof(packed)


class Carries:
    """A state that knows what an earlier pass found."""

    def __init__(self, found):
        self.found = found

    def __call__(self, traces):
        return len(traces)


def test_what_all_parts_are_asked_for_goes_to_the_scheduler_once(during, store, client, monkeypatch):
    tcp = pytest.importorskip("distributed.comm.tcp", reason="needs dask and distributed")
    write, sent = tcp.TCP.write, []

    async def counted(self, *arguments, **options):
        sent.append(await write(self, *arguments, **options))
        return sent[-1]

    monkeypatch.setattr(tcp.TCP, "write", counted)  # of the client and of the scheduler: both are in this process
    found = np.random.default_rng(1).bytes(1_000_000)
    assert store.reduce(Carries(found), int.__add__, on=client) == len(during)
    assert 2 * len(found) < sum(sent) < 2 * len(found) + store.part_count * 50_000


class Asked:
    """A state that says in which process it is, and which copy of it; ``size``: bytes that it takes along."""

    def __init__(self, size):
        self.content = os.urandom(size)

    def __setstate__(self, content):
        self.__dict__.update(content, copy=os.urandom(8))

    def __call__(self, traces):
        return [(os.getpid(), self.copy, len(self.content), traces.trace_ids[0])]


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_large_state_goes_to_each_process_once(store, size):
    found = store.reduce(Asked(size), joined, on=2)
    assert [name for *_, name in found] == [part.trace_ids[0] for part in store.parts()]
    assert {length for *_, length, _ in found} == {size}
    copies = len({(process, copy) for process, copy, *_ in found})
    assert copies == 6 if size == 10 else copies <= 2


def test_a_large_state_is_small_for_a_task_and_leaves_no_file():
    many = functools.partial(_size_with, "x" * 1_000_000)
    with sent_once(many) as sent:
        path = Path(sent.path)
        assert len(pickle.dumps(sent)) < 1_000
        assert [sent("abc"), sent("")] == [1_000_003, 1_000_000]
    assert not path.exists()
    assert not path.parent.exists()


def _size_with(text, traces):
    return len(text) + len(traces)


def test_names_of_tasks_say_which_analysis():
    assert cluster.name_of(_Partial(tabulate)) == "latency.tabulate"
    assert cluster.name_of(KilledOnce("")) == "test_execution.KilledOnce"


def test_weights_by_id_travel(during, store):
    by_id = pd.Series(np.arange(1.0, len(during) + 1), during.trace_ids)
    same(tk.latency(store.with_weights(by_id), on=2).table, tk.latency(during.with_weights(by_id)).table)


def test_a_store_is_read_where_it_was_told_when_it_was_opened(store, client):
    for told, called, is_own in ((None, 1, True), (2, None, False), (2, 1, True), (client, None, False)):
        opened = tk.open(store.path, on=told).where("duration_ns >= 0").sample(3)
        found = opened.reduce(ids_of, joined, on=called)
        assert {process == os.getpid() for process, _ in found} == {is_own}


def test_a_scheduler_that_is_not_there_is_named(store):
    dask = pytest.importorskip("dask", reason="needs dask and distributed")
    with (
        dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
        pytest.raises(
            LoadError, match=r"expected a Dask scheduler at tcp://127.0.0.1:1, found none .*; check the addr"
        ),
    ):
        tk.latency(store, on="tcp://127.0.0.1:1")
    with pytest.raises(LoadError, match="expected a Dask scheduler at nonsense://x, found none"):
        tk.latency(store, on="nonsense://x")
