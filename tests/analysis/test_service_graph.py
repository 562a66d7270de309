import networkx as nx
import numpy as np
import pandas as pd
import pytest
from drawn_spans import draw
from hypothesis import given, settings
from hypothesis import strategies as st

from tracekit import TraceSet
from tracekit.analysis import self_time as self_time_module
from tracekit.analysis.latency import latency
from tracekit.analysis.self_time import self_times
from tracekit.analysis.service_graph import calls as service_calls
from tracekit.analysis.service_graph.build import ServiceGraph, service_graph, summarise
from tracekit.analysis.service_graph.calls import find_calls
from tracekit.analysis.service_graph.tables import tabulate

LIMITED = [
    "error_ratio", "error_ratio_low", "error_ratio_high", "p50_ns", "p50_low_ns", "p50_high_ns", "p95_ns",
    "p95_low_ns", "p95_high_ns", "p99_ns", "p99_low_ns", "p99_high_ns",
]  # fmt: skip
SERVICES = [
    "service_name", "is_inferred", "peer_type", "request_count", "unfinished_count",
    "error_count", *LIMITED, "self_time_ns",
    "span_count", "trace_count", "entry_count",
]  # fmt: skip
CALLS = [
    "caller_service", "callee_service", "call_type", "peer_type", "call_count", "unfinished_count",
    "error_count", *LIMITED,
    "paired_count", "is_inferred", "trace_count",
]  # fmt: skip
SHOP = """
a1 1 - shop   SERVER  0 100
a1 2 1 shop   CLIENT 10  90 http=POST
a1 3 2 ledger SERVER 20  80 error
a1 4 1 shop   CLIENT 92  98 db=postgresql
"""


def edges(graph):
    """(caller, callee, type) -> (calls, errors, paired)."""
    return {
        (row.caller_service, row.callee_service, row.call_type): (row.call_count, row.error_count, row.paired_count)
        for row in graph.calls.itertuples()
    }


def node(graph, name):
    return graph.services.set_index("service_name").loc[name]


# -------------------------------------------------------------------- hand-drawn


def test_a_client_and_the_server_that_answers_are_one_call():
    graph = service_graph(draw(SHOP))
    call = graph.calls.iloc[0]
    assert graph.calls.columns.tolist() == CALLS
    assert (call["caller_service"], call["callee_service"], call["peer_type"]) == ("shop", "ledger", "http")
    assert (call["call_count"], call["paired_count"], call["trace_count"]) == (1, 1, 1)
    assert call["p50_ns"] == 80  # as the caller saw it
    assert call["error_count"] == 1  # the server failed, the client did not notice
    assert node(graph, "ledger")["p50_ns"] == 60  # as the service saw it


def test_services_have_requests_self_time_and_entry_points():
    graph = service_graph(draw(SHOP))
    assert graph.services.columns.tolist() == SERVICES
    shop, ledger = node(graph, "shop"), node(graph, "ledger")
    assert (shop["request_count"], shop["entry_count"], shop["span_count"], shop["self_time_ns"]) == (1, 1, 3, 40)
    assert (ledger["request_count"], ledger["entry_count"], ledger["error_ratio"]) == (1, 0, 1)


def test_a_peer_that_sent_nothing_becomes_an_inferred_node():
    graph = service_graph(draw(SHOP))
    peer = node(graph, "postgresql")
    assert (peer["is_inferred"], peer["peer_type"], peer["request_count"], peer["span_count"]) == (True, "db", 1, 0)
    assert peer["p50_ns"] == 6
    assert np.isnan(peer["self_time_ns"])
    assert graph.calls.set_index("callee_service").loc["postgresql", "is_inferred"]
    assert repr(graph) == "ServiceGraph(2 services, 1 inferred, 2 edges, 2 calls; sampling weights unknown)"


@pytest.mark.parametrize(
    "kinds",
    [("SERVER", "SERVER"), ("INTERNAL", "INTERNAL"), ("UNSPECIFIED", "UNSPECIFIED"), ("CONSUMER", "INTERNAL")],
)
def test_a_parent_in_another_service_is_a_call_whatever_the_kinds(kinds):
    graph = service_graph(draw(f"a1 1 - shop {kinds[0]} 0 100\na1 2 1 ledger {kinds[1]} 20 80"))
    assert edges(graph) == {("shop", "ledger", "call"): (1, 0, 0)}
    assert graph.calls["p50_ns"].tolist() == [60]  # nobody else measured it
    assert node(graph, "shop")["request_count"] == node(graph, "ledger")["request_count"] == 1


def test_the_client_failed_although_the_server_did_not():
    graph = service_graph(draw("a1 1 - shop CLIENT 0 100 error\na1 2 1 ledger SERVER 20 80"))
    assert edges(graph) == {("shop", "ledger", "call"): (1, 1, 1)}
    assert node(graph, "ledger")["error_count"] == 0


def test_without_a_client_span_the_callers_failure_is_its_own():
    graph = service_graph(draw("a1 1 - shop SERVER 0 100 error\na1 2 1 ledger SERVER 20 80"))
    assert edges(graph) == {("shop", "ledger", "call"): (1, 0, 0)}


def test_a_client_that_cannot_be_measured_leaves_the_servers_duration():
    graph = service_graph(draw("a1 1 - shop CLIENT 0 -\na1 2 1 ledger SERVER 20 80"))
    assert graph.calls["p50_ns"].tolist() == [60]


def test_an_unmeasured_call_counts_without_a_duration():
    graph = service_graph(draw("a1 1 - shop CLIENT 0 -\na1 2 1 ledger SERVER 20 -"))
    assert graph.calls["call_count"].tolist() == [1]
    assert graph.calls["p50_ns"].isna().all()


def test_a_service_that_calls_itself():
    graph = service_graph(draw("a1 1 - shop SERVER 0 100\na1 2 1 shop CLIENT 10 90\na1 3 2 shop SERVER 20 80"))
    assert edges(graph) == {("shop", "shop", "call"): (1, 0, 1)}
    assert node(graph, "shop")["request_count"] == 2


def test_two_servers_below_one_service_are_a_proxy_and_no_call():
    graph = service_graph(draw("a1 1 - shop SERVER 0 100\na1 2 1 shop SERVER 10 90"))
    assert len(graph.calls) == 0
    assert node(graph, "shop")["request_count"] == 1


def test_one_client_reached_two_instances():
    graph = service_graph(draw("a1 1 - shop CLIENT 0 100\na1 2 1 ledger SERVER 10 40\na1 3 1 ledger SERVER 50 90"))
    assert edges(graph) == {("shop", "ledger", "call"): (2, 0, 2)}
    assert node(graph, "ledger")["request_count"] == 2


def test_a_library_instrumented_twice_is_one_call():
    paired = "a1 1 - shop CLIENT 0 100 peer=ledger\na1 2 1 shop CLIENT 5 95 peer=ledger\na1 3 2 ledger SERVER 10 90"
    assert edges(service_graph(draw(paired))) == {("shop", "ledger", "call"): (1, 0, 1)}
    wrapped = (
        "a1 1 - shop CLIENT 0 100 peer=x\na1 2 1 shop INTERNAL 5 95\na1 3 2 shop CLIENT 6 94\na1 4 3 ledger SERVER 9 90"
    )
    assert edges(service_graph(draw(wrapped))) == {("shop", "ledger", "call"): (1, 0, 1)}
    silent = "a1 1 - shop CLIENT 0 100 peer=ledger\na1 2 1 shop CLIENT 5 95 peer=ledger"
    graph = service_graph(draw(silent))
    assert edges(graph) == {("shop", "ledger", "call"): (1, 0, 0)}
    assert graph.calls["p50_ns"].tolist() == [100]


def test_what_lies_between_a_client_and_its_server_hides_neither_its_time_nor_its_failure():
    above = "a1 1 - shop SERVER 0 99\na1 2 1 shop CLIENT 0 90 error"
    between = f"{above}\na1 3 2 shop INTERNAL 5 8\na1 4 3 shop INTERNAL 6 8"
    graph = service_graph(draw(f"{between}\na1 5 4 ledger SERVER 10 40"))
    assert edges(graph) == {("shop", "ledger", "call"): (1, 1, 1)}
    assert graph.calls["p50_ns"].tolist() == [90]
    assert node(graph, "ledger")["p50_ns"] == 30
    stored = between.replace("90 error", "90 db=redis")  # a database call does not answer for what leaked below it
    graph = service_graph(draw(f"{stored}\na1 5 4 ledger SERVER 10 40"))
    assert edges(graph) == {("shop", "ledger", "call"): (1, 0, 0), ("shop", "redis", "call"): (1, 0, 0)}


def test_what_an_incoming_span_does_is_not_the_call_above_it():
    kinds = ("CLIENT", "INTERNAL", "SERVER", "INTERNAL", "SERVER", "INTERNAL", "CLIENT")
    lines = [f"a1 {i} {i - 1 or '-'} shop {kind} {i} {90 - i} peer=x" for i, kind in enumerate(kinds, 1)]
    graph = service_graph(draw("\n".join([*lines, "a1 8 7 ledger SERVER 20 50"])))
    assert edges(graph) == {("shop", "x", "call"): (1, 0, 0), ("shop", "ledger", "call"): (1, 0, 1)}


def test_different_peers_one_below_the_other_are_two_calls():
    graph = service_graph(draw("a1 1 - shop CLIENT 0 100 peer=cart\na1 2 1 shop CLIENT 5 9 db=redis"))
    assert edges(graph) == {("shop", "cart", "call"): (1, 0, 0), ("shop", "redis", "call"): (1, 0, 0)}


def test_a_database_call_counts_even_with_a_child_call_by_leaked_context():
    leaked = "a1 1 - shop CLIENT 0 9 db=redis\na1 2 1 shop CLIENT 5 95\na1 3 2 ledger SERVER 10 90"
    assert set(edges(service_graph(draw(leaked)))) == {("shop", "redis", "call"), ("shop", "ledger", "call")}


def test_a_service_known_from_elsewhere_that_did_not_answer_is_not_inferred():
    graph = service_graph(
        draw("a1 1 - shop CLIENT 0 100 peer=ledger\nb1 1 - shop CLIENT 0 80\nb1 2 1 ledger SERVER 5 70")
    )
    assert edges(graph) == {("shop", "ledger", "call"): (2, 0, 1)}
    assert not graph.calls["is_inferred"].any()
    assert graph.services["service_name"].tolist() == ["ledger", "shop"]


def test_a_database_is_not_the_service_of_its_name():
    graph = service_graph(draw("a1 1 - orders SERVER 0 100\na1 2 1 orders CLIENT 5 9 db=orders peer=orders"))
    assert edges(graph) == {("orders", "orders (db)", "call"): (1, 0, 0)}
    assert node(graph, "orders (db)")["is_inferred"]


def test_a_database_and_a_topic_of_one_name_are_two_nodes():
    graph = service_graph(draw("a1 1 - s CLIENT 5 9 db=orders\na1 2 - s PRODUCER 5 9 topic=orders"))
    assert set(edges(graph)) == {("s", "orders (db)", "call"), ("s", "orders (messaging)", "message")}


def test_a_call_without_a_name_is_counted_and_reported():
    graph = service_graph(draw("a1 1 - shop CLIENT 0 100\nb1 1 - shop CLIENT 0 9").with_weights(2))
    assert graph.unnamed_count == 4
    assert len(graph.calls) == 0
    assert (
        repr(graph)
        == "ServiceGraph(1 services, 0 inferred, 0 edges, 0 calls, 4 calls to unknown peers; weights from given)"
    )


def test_the_commonest_peer_type_is_shown():
    lines = ["a1 1 - s CLIENT 0 9 peer=x", *(f"a1 {i} - s CLIENT 0 9 peer=x http=GET" for i in (2, 3))]
    graph = service_graph(draw("\n".join(lines)))
    assert graph.calls["peer_type"].tolist() == ["http"]
    assert node(graph, "x")["peer_type"] == "http"


# -------------------------------------------------------------------- entries


@pytest.mark.parametrize(
    ("kind", "parent", "requests"),
    [
        ("SERVER", "-", 1),
        ("CONSUMER", "-", 1),
        ("UNSPECIFIED", "-", 1),
        ("INTERNAL", "-", 1),
        ("CLIENT", "-", 0),
        ("PRODUCER", "-", 0),
        ("SERVER", "99", 1),  # an orphan: its caller was not recorded
        ("CONSUMER", "99", 1),
        ("INTERNAL", "99", 0),
        ("UNSPECIFIED", "99", 0),
        ("CLIENT", "99", 0),
    ],
)
def test_what_begins_a_request(kind, parent, requests):
    services = service_graph(draw(f"a1 1 {parent} shop {kind} 0 100")).services
    assert services[["service_name", "request_count", "entry_count", "span_count"]].to_numpy().tolist() == [
        ["shop", requests, requests, 1]
    ]


# -------------------------------------------------------------------- messages


def test_a_message_by_parent():
    graph = service_graph(draw("a1 1 - shop PRODUCER 0 2 topic=mail\na1 2 1 mailer CONSUMER 50 90"))
    assert edges(graph) == {("shop", "mailer", "message"): (1, 0, 1)}


def test_a_send_that_is_recorded_as_a_client_span_is_a_message():
    """X-Ray and several SDKs have no other kinds than CLIENT and SERVER."""
    graph = service_graph(draw("a1 1 - shop CLIENT 0 2 topic=mail\na1 2 1 mailer SERVER 50 90"))
    assert edges(graph) == {("shop", "mailer", "message"): (1, 0, 1)}
    unanswered = service_graph(draw("a1 1 - shop CLIENT 0 2 topic=mail"))
    assert edges(unanswered) == {("shop", "mail", "message"): (1, 0, 0)}


def test_a_receive_is_a_call_of_the_queue():
    traces = draw("a1 1 - shop CLIENT 0 2 topic=mail")
    frame = traces.spans.assign(messaging_operation_type="receive")
    assert edges(service_graph(TraceSet.from_spans(frame))) == {("shop", "mail", "call"): (1, 0, 0)}


def test_a_message_by_link_between_traces():
    lines = [
        "a1 1 - shop SERVER 0 9",
        "a1 2 1 shop PRODUCER 1 2 topic=mail",
        "b1 3 - mailer CONSUMER 50 90 link=a1/2 error",
    ]
    for order in (lines, lines[::-1]):
        graph = service_graph(draw("\n".join(order)))
        assert edges(graph) == {("shop", "mailer", "message"): (1, 1, 1)}
        assert graph.calls["p50_ns"].tolist() == [1]
        assert node(graph, "mailer")["request_count"] == 1


def test_a_link_to_nothing_recorded_leaves_the_topic():
    graph = service_graph(draw("a1 2 - shop PRODUCER 1 2 topic=mail\nb1 3 - mailer CONSUMER 50 90 link=a1/77"))
    assert edges(graph) == {("shop", "mail", "message"): (1, 0, 0)}


def test_a_parent_beats_a_link():
    graph = service_graph(
        draw(
            "a1 1 - s PRODUCER 0 2 topic=mail\na1 2 1 mailer CONSUMER 5 9 link=c1/1\nc1 1 - other PRODUCER 0 2 topic=x"
        )
    )
    assert edges(graph) == {("s", "mailer", "message"): (1, 0, 1), ("other", "x", "message"): (1, 0, 0)}


def test_a_link_of_a_server_is_no_message_unless_marked_by_x_ray():
    lines = "a1 1 - shop CLIENT 0 2 peer=queue\nb1 1 - worker SERVER 5 9 link=a1/1"
    assert set(edges(service_graph(draw(lines)))) == {("shop", "queue", "call")}
    assert edges(service_graph(draw(lines + " xray"))) == {("shop", "worker", "call"): (1, 0, 1)}


def test_a_batch_counts_each_message_once():
    sent = "a1 1 - s PRODUCER 0 2 topic=m\na1 2 - s PRODUCER 3 4 topic=m"
    graph = service_graph(draw(f"{sent}\nb1 3 - mailer CONSUMER 5 9 link=a1/1,a1/2,a1/1"))
    assert edges(graph) == {("s", "mailer", "message"): (2, 0, 2)}
    assert node(graph, "mailer")["request_count"] == 1


def test_a_link_to_an_inferred_row_is_no_message():
    graph = service_graph(draw("a1 1 - shop PRODUCER 0 2 topic=m inferred\nb1 3 - mailer CONSUMER 5 9 link=a1/1"))
    assert len(graph.calls) == 0


def test_ids_that_only_look_alike_are_not_linked():
    other_trace = "1" + "0" * 15 + "00000000000000a1"
    graph = service_graph(draw(f"a1 2 - shop PRODUCER 1 2 topic=mail\nb1 3 - mailer CONSUMER 5 9 link={other_trace}/2"))
    assert ("shop", "mailer", "message") not in edges(graph)


# -------------------------------------------------------------------- X-Ray's inferred rows


def test_an_inferred_row_names_the_callee_and_counts_nothing():
    graph = service_graph(
        draw("a1 1 - fn SERVER 0 99\na1 2 1 fn CLIENT 5 50 peer=sdk\na1 3 2 DynamoDB SERVER 6 49 inferred")
    )
    assert edges(graph) == {("fn", "DynamoDB", "call"): (1, 0, 0)}
    assert graph.calls["p50_ns"].tolist() == [45]
    assert node(graph, "DynamoDB")["span_count"] == 0
    assert node(graph, "DynamoDB")["is_inferred"]
    assert node(graph, "fn")["self_time_ns"] == 99


def test_the_first_of_several_inferred_rows_names_the_callee():
    graph = service_graph(
        draw("a1 1 - fn CLIENT 0 99\na1 2 1 first SERVER 6 9 inferred\na1 3 1 second SERVER 7 9 inferred")
    )
    assert edges(graph) == {("fn", "first", "call"): (1, 0, 0)}


def test_an_inferred_row_is_ignored_where_the_callee_has_spans():
    graph = service_graph(draw("a1 1 - fn CLIENT 0 99\na1 2 1 queue SERVER 6 90 inferred\na1 3 1 worker SERVER 20 80"))
    assert edges(graph) == {("fn", "worker", "call"): (1, 0, 1)}
    assert graph.services["service_name"].tolist() == ["worker", "fn"]


def test_a_span_below_an_inferred_row_was_called_by_the_span_above():
    graph = service_graph(draw("a1 1 - fn CLIENT 0 99\na1 2 1 queue SERVER 6 90 inferred\na1 3 2 worker SERVER 20 80"))
    assert edges(graph) == {("fn", "worker", "call"): (1, 0, 1)}


# -------------------------------------------------------------------- the result


def test_networkx_gets_everything():
    graph = service_graph(draw(SHOP)).to_networkx()
    assert type(graph) is nx.DiGraph
    assert set(graph.nodes) == {"shop", "ledger", "postgresql"}
    assert graph.nodes["postgresql"]["is_inferred"] is True
    assert graph.edges["shop", "ledger"]["p95_ns"] == 80
    assert set(graph.edges["shop", "ledger"]) == set(CALLS[2:])


def test_a_pair_that_calls_and_messages_is_one_edge():
    graph = service_graph(
        draw("a1 1 - s PRODUCER 0 2 topic=x error\na1 2 1 t CONSUMER 5 9\na1 3 - s CLIENT 0 50\na1 4 3 t SERVER 5 40")
    )
    assert len(graph.calls) == 2
    edge = graph.to_networkx().edges["s", "t"]
    assert (edge["call_type"], edge["call_count"], edge["error_ratio"], edge["p50_ns"]) == ("call, message", 2, 0.5, 50)


def test_names_are_escaped_in_a_notebook():
    shown = service_graph(draw("a1 1 - <i>x</i> CLIENT 0 9 peer=<u>y</u>"))._repr_html_()
    assert "<i>x" not in shown
    assert "<u>y" not in shown
    assert "&lt;u&gt;y" in shown


def test_nothing_is_an_empty_graph_with_all_columns():
    graph = service_graph(draw(""))
    assert graph.services.columns.tolist() == SERVICES
    assert graph.calls.columns.tolist() == CALLS
    assert len(graph.services) == len(graph.calls) == 0
    assert repr(graph) == "ServiceGraph(0 services, 0 inferred, 0 edges, 0 calls; no traces)"
    assert len(graph.to_networkx()) == 0


# -------------------------------------------------------------------- an oracle in plain Python

KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
OUT, IN = {"CLIENT", "PRODUCER"}, {"SERVER", "CONSUMER"}
spans = st.tuples(
    st.integers(0, 12),  # parent: 0 = none, also oneself, later ones and ones that do not exist
    st.sampled_from("abc"),
    st.sampled_from(KINDS),
    st.integers(0, 50),
    st.integers(-2, 50),
    st.sampled_from(["", "error", "inferred"]),
    st.sampled_from(["", "peer=a", "peer=x", "db=a", "db=y", "topic=x"]),
)


def _text(rows):
    return "\n".join(
        f"a{i % 2} {i:x} {'-' if not parent else f'{parent:x}'} {service} {kind} {start} {start + length} {flag} {peer}"
        for i, (parent, service, kind, start, length, flag, peer) in enumerate(rows, 1)
    )


def _tree(traces):
    """Return the spans as dicts that know the span above and the spans below; inferred rows are looked through."""
    table = traces.spans.astype(object).to_dict("records")
    for row, span in enumerate(table):
        at = span["parent_row"]
        while at >= 0 and table[at]["inferred"]:
            at = table[at]["parent_row"]
        span.update(row=row, above=table[at] if at >= 0 else None, children=[], peer=span["peer_service_name"])
    for span in table[::-1]:
        if span["inferred"] and span["parent_row"] >= 0:
            table[span["parent_row"]]["peer"] = span["service_name"]
    live = [span for span in table if not span["inferred"]]
    for span in live:
        if span["above"]:
            span["above"]["children"].append(span)
    return live


def _arrived(span):
    above = span["above"]
    return above and (above["service_name"] != span["service_name"] or (above["kind"] in OUT and span["kind"] in IN))


def _answered(span, top):
    """Tell whether a call is seen to arrive below, not passing through another service or an incoming span."""
    deep = span is top or top["peer_type"] not in ("db", "messaging")
    return any(
        deep if _arrived(child) else child["kind"] not in IN and _answered(child, top) for child in span["children"]
    )


def _caller(span):
    """Return the nearest outgoing span of the caller, past what is neither outgoing nor incoming; else the parent."""
    at = parent = span["above"]
    while at and at["kind"] not in OUT | IN and at["service_name"] == parent["service_name"]:
        at = at["above"]
    told = at and at["kind"] in OUT and at["service_name"] == parent["service_name"]
    return at if told and (at is parent or at["peer_type"] not in ("db", "messaging")) else parent


def _arrivals(live):
    for span in filter(_arrived, live):
        above = _caller(span)
        paired = above["kind"] in OUT
        message = above["kind"] == "PRODUCER" or span["kind"] == "CONSUMER"
        message |= paired and span["kind"] in IN and "messaging" in (above["peer_type"], _topic(span))
        failed = span["is_error"] or (paired and above["is_error"])
        yield above["service_name"], span["service_name"], "service", message, failed, paired


def _topic(span):
    return "messaging" if isinstance(span["messaging_system"], str) else None


def _unanswered(silent):
    for span in silent:
        above, sort = span["above"], span["peer_type"]
        again = any(above is other for other in silent) and all(
            above[key] == span[key] for key in ("service_name", "peer")
        )
        if isinstance(span["peer"], str) and not again:
            sort = sort if sort in ("db", "messaging") else "service"
            message = span["kind"] == "PRODUCER" or _topic(span) == "messaging"
            yield span["service_name"], span["peer"], sort, message, span["is_error"], False


def _begins(span):
    return not span["above"] and (span["kind"] not in OUT if span["parent_state"] == "root" else span["kind"] in IN)


def _looped(traces):
    """Find calls and entries span by span."""
    live = _tree(traces)
    silent = [span for span in live if span["kind"] in OUT and not _answered(span, span)]
    entries = [(span["service_name"], not _arrived(span)) for span in live if _arrived(span) or _begins(span)]
    unnamed = sum(not isinstance(span["peer"], str) for span in silent)
    return [*_arrivals(live), *_unanswered(silent)], entries, unnamed


def _found(traces):
    """Return the same from the arrays."""
    found, failed = find_calls(traces), traces.is_error
    service = traces.codes("service_name")
    here, there = found.caller_row, found.callee_row
    calls = [
        (
            service.labels[found.caller[i]],
            found.names[found.callee[i]],
            ("service", "db", "messaging")[found.callee_type[i]],
            bool(found.call_type[i]),
            bool((there[i] >= 0 and failed[there[i]]) or ((there[i] < 0 or found.is_paired[i]) and failed[here[i]])),
            bool(found.is_paired[i]),
        )
        for i in range(len(found.caller))
    ]
    entries = [(service.at(row), bool(root)) for row, root in zip(found.entry_rows, found.is_root, strict=True)]
    return calls, entries, len(found.unnamed_rows)


@settings(max_examples=3 * settings().max_examples, deadline=None)
@given(st.lists(spans, max_size=12))
def test_calls_are_those_of_a_plain_loop(rows):
    traces = draw(_text(rows))
    (calls, entries, unnamed), (got_calls, got_entries, got_unnamed) = _looped(traces), _found(traces)
    assert sorted(got_calls) == sorted(calls)
    assert sorted(got_entries) == sorted(entries)
    assert got_unnamed == unnamed


@settings(max_examples=100, deadline=None)
@given(st.lists(spans, max_size=12))
def test_counts_of_the_graph_are_conserved(rows):
    traces = draw(_text(rows))
    graph = service_graph(traces)
    calls, entries, _ = _looped(traces)
    assert graph.calls["call_count"].sum() == len(calls)
    assert graph.calls["error_count"].sum() == sum(call[4] for call in calls)
    assert graph.services["span_count"].sum() == (~traces.is_inferred).sum()
    real = graph.services[~graph.services["is_inferred"]].set_index("service_name")
    arrived = pd.Series([service for service, root in entries if not root], dtype=object).value_counts()
    for name, row in real.iterrows():
        assert row["request_count"] == row["entry_count"] + arrived.get(name, 0)
    inferred = graph.services[graph.services["is_inferred"]].set_index("service_name")["request_count"]
    into = graph.calls[graph.calls["is_inferred"]].groupby("callee_service")["call_count"].sum()
    assert inferred.to_dict() == into.to_dict()
    assert set(graph.calls["caller_service"]) | set(graph.calls["callee_service"]) <= set(
        graph.services["service_name"]
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=12))
def test_weights_scale_counts_and_nothing_else(rows):
    traces = draw(_text(rows))
    once, thrice = service_graph(traces), service_graph(traces.with_weights(3.0))
    for before, after, scaled in (
        (
            once.services,
            thrice.services,
            ["request_count", "unfinished_count", "error_count", "self_time_ns", "entry_count"],
        ),
        (once.calls, thrice.calls, ["call_count", "unfinished_count", "error_count", "paired_count"]),
    ):
        pd.testing.assert_frame_equal(before.assign(**{name: before[name] * 3 for name in scaled}), after)


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=12))
def test_blocks_add_up_to_the_whole(rows):
    traces = draw(_text(rows))
    parts = [traces.trace(name) for name in traces.trace_ids]
    if not parts:
        return
    whole, merged = service_graph(traces), summarise([tabulate(part) for part in parts])
    pd.testing.assert_frame_equal(merged.services, whole.services)
    pd.testing.assert_frame_equal(merged.calls, whole.calls)
    assert merged.unnamed_count == whole.unnamed_count


@settings(max_examples=60, deadline=None)
@given(st.lists(spans, max_size=30), st.integers(1, 9))
def test_it_does_not_matter_how_traces_are_cut_into_blocks(rows, size):
    traces = draw("\n".join(f"{i % 7 + 1:x}{line}" for i, line in enumerate(_text(rows).splitlines())))
    whole, own = _found(traces), self_times(traces)
    with pytest.MonkeyPatch.context() as patch:
        for module in (service_calls, self_time_module):
            patch.setattr(module, "_BLOCK", size)
        assert _found(traces) == whole
        assert self_times(traces).tolist() == own.tolist()


def test_a_call_wrapped_twice_in_a_later_block(monkeypatch):
    monkeypatch.setattr(service_calls, "_BLOCK", 1)
    database = "a1 1 - shop CLIENT 0 9 db=x\na1 2 - shop CLIENT 0 9 db=x\na1 3 - shop CLIENT 0 9 db=x"
    wrapped = (
        "b1 1 - shop CLIENT 0 100 peer=x\nb1 2 1 shop INTERNAL 5 95\nb1 3 2 shop CLIENT 6 94\nb1 4 3 ledger SERVER 9 90"
    )
    assert set(edges(service_graph(draw(f"{database}\n{wrapped}")))) == {
        ("shop", "x", "call"),
        ("shop", "ledger", "call"),
    }
    assert service_graph(draw(f"{database}\n{wrapped}")).calls["call_count"].sum() == 4


def test_the_order_of_lines_does_not_matter():
    rng = np.random.default_rng(0)
    rows = [
        (
            int(rng.integers(0, i + 1)),
            rng.choice(list("abc")),
            rng.choice(KINDS),
            i,
            20,
            "",
            rng.choice(["", "peer=x", "db=y"]),
        )
        for i in range(200)
    ]
    lines = _text(rows).splitlines()
    one, other = service_graph(draw("\n".join(lines))), service_graph(draw("\n".join(rng.permutation(lines))))
    pd.testing.assert_frame_equal(one.services, other.services)
    pd.testing.assert_frame_equal(one.calls, other.calls)


def test_a_chain_of_a_hundred_thousand_spans():
    n = 100_000
    lines = "\n".join(
        f"a1 {i:x} {f'{i - 1:x}' if i > 1 else '-'} s{i % 2} INTERNAL {i} {3 * n - i}" for i in range(1, n + 1)
    )
    graph = service_graph(draw(lines))
    assert graph.calls["call_count"].sum() == n - 1
    assert graph.services["self_time_ns"].sum() == 3 * n - 2


def test_limits_are_those_of_the_spans_that_make_the_requests():
    """Every span is a root, so requests are spans: the graph and the table of latencies must agree."""
    rng = np.random.default_rng(3)
    lines = [
        f"{at + 1:x} {at + 1} - {rng.choice(['cart', 'shop'])} SERVER 0 {rng.integers(10, 9000)}"
        + " error" * bool(rng.random() < 0.2)
        for at in range(400)
    ]
    traces = draw("\n".join(lines)).with_weights(2.0 ** rng.integers(0, 4, 400))
    found = service_graph(traces, confidence=0.9).services.set_index("service_name").sort_index()
    wanted = latency(traces, "service_name", confidence=0.9).table.set_index("service_name").sort_index()
    pd.testing.assert_frame_equal(found[LIMITED], wanted[LIMITED])
    assert found["p95_low_ns"].notna().all()


def test_spans_without_a_duration_are_no_evidence_about_durations():
    lines = [f"{at + 1:x} {at + 1} - shop SERVER 0 {at + 1 if at < 20 else '-'}" for at in range(400)]
    table = service_graph(draw("\n".join(lines))).services
    assert table["p95_high_ns"].isna().all(), "20 durations cannot limit a p95"
    assert table["error_ratio_high"][0] == pytest.approx(0.168, abs=0.001), "nor do 380 requests without an outcome"
    assert table["request_count"].tolist() == [400]


def test_a_call_and_a_message_in_one_edge_have_no_common_limits():
    services = pd.DataFrame({"service_name": ["shop", "ledger"]})
    calls = service_graph(draw(SHOP)).calls
    calls = calls[calls["callee_service"] == "ledger"]
    both = pd.concat([calls, calls.assign(call_type="message")], ignore_index=True)
    edge = ServiceGraph(services, both, 0.0).to_networkx().edges["shop", "ledger"]
    assert edge["error_ratio"] == 1
    assert np.isnan([edge["error_ratio_low"], edge["error_ratio_high"]]).all()
