"""Names and versions of services: secrets and personal data are removed, and names that look like them stay."""

import random

import pytest
from planted import KINDS, POD, WORDS, lookalikes, planted, text_of

import tracekit as tk
from tracekit.redaction.apply import redacted_texts
from tracekit.redaction.keys import context_of

KEYS = ["service.name", "service.version", "service.namespace", "peer.service"]
HEX = "0123456789abcdef"
NOT_KNOWN_BY_FORM = {"name", "IP address"}  # a version looks like an address

NAMES = {
    "worker": lambda r: f"celery@{r.choice(WORDS).lower()}-{r.randrange(99)}.example.org",
    "pod": lambda r: f"{r.choice(WORDS).lower()}@checkout-{text_of(r, POD, 10)}-{text_of(r, POD, 5)}",
    "package": lambda r: f"@acme/{r.choice(WORDS).lower()}@{r.randrange(9)}.{r.randrange(20)}.{r.randrange(99)}",
    "node": lambda r: f"rabbit@ip-10-{r.randrange(255)}-{r.randrange(255)}-7.eu-west-1.compute.internal",
    "class": lambda r: f"com.acme.{r.choice(WORDS)}{r.choice(WORDS).capitalize()}@{text_of(r, HEX, 8)}",
    "cluster": lambda r: f"{r.choice(WORDS).lower()}.{r.choice(WORDS).lower()}@prod.svc.cluster.local",
    "host": lambda r: f"{r.choice(WORDS).lower()}@db{r.randrange(9)}.example.com",
    "plain": lambda r: "-".join(r.choice(WORDS).lower() for _ in range(r.randrange(1, 5))),
    "dotted": lambda r: ".".join(r.choice(WORDS).lower() for _ in range(r.randrange(2, 5))),
    "camel": lambda r: "".join(r.choice(WORDS).capitalize() for _ in range(r.randrange(2, 6))) + "Service",
    "image": lambda r: f"registry.example.com/team/{r.choice(WORDS).lower()}:{r.randrange(9)}.{r.randrange(99)}",
    "digest": lambda r: f"sha256:{text_of(r, HEX, 64)}",
    "build": lambda r: f"{r.randrange(9)}.{r.randrange(9)}+{r.randrange(20201010, 20261231)}.{text_of(r, HEX, 7)}",
    "branch": lambda r: f"feature/{r.choice(WORDS)}-{r.randrange(9999)}-{r.choice(WORDS)}_{r.choice(WORDS)}",
    "function": lambda r: f"arn:aws:lambda:eu-west-1:{text_of(r, '0123456789', 12)}:function:{r.choice(WORDS)}",
    "date": lambda r: f"20{r.randrange(20, 27)}-{r.randrange(1, 13):02d}-{r.randrange(1, 29):02d}T10-15-07Z",
}  # fmt: skip
"""Generators of names and versions as services have them."""


def shown(texts, key):
    return redacted_texts(texts, tk.Policy(), context=context_of(key))


@pytest.mark.parametrize("key", KEYS)
def test_names_and_versions_of_services_stay(key):
    rng = random.Random(5)
    kinds = list(NAMES)
    texts = [(kinds[k % len(kinds)], NAMES[kinds[k % len(kinds)]](rng)) for k in range(15_000)] + lookalikes(6, 5_000)
    found = shown([text for _, text in texts], key)
    wrong = [one for one, text in zip(texts, found, strict=True) if one[1] != text]
    assert len(wrong) <= 0.01 * len(texts), wrong[:20]


@pytest.mark.parametrize("key", KEYS)
def test_what_is_planted_there_is_removed(key):
    kinds = set(KINDS) - NOT_KNOWN_BY_FORM
    values = [one for one in planted(9, 600) if one[0] in kinds]
    found = shown([f"{text}" for _, _, text in values], key)
    left = [(kind, value) for (kind, value, _), text in zip(values, found, strict=True) if value in text]
    assert not left
    assert shown(["jo@gmail.com"], key) == ["[email]"]


def test_names_of_hosts_stay():
    hosts = ["jo.smith@example.org", "celery@web-1.example.org", "maria.lopez@db.example.com", "10.0.0.7"]
    assert shown(hosts, "host.name") == hosts


def test_a_service_that_is_named_for_a_person_is_nowhere_in_a_page(tmp_path):
    frame = tk.load_sample("small-shop")[1].spans
    first = frame["service_name"].iloc[0]
    names = frame["service_name"].astype(str).replace({first: "billing jo.smith@example.org"})
    traces = tk.TraceSet.from_spans(frame.assign(service_name=names))
    page = tk.report(traces, tmp_path / "a.html", embed=True)
    assert "jo.smith" not in page.read_text()
    assert "billing [email]" in page.read_text()
    assert tk.verify(page).is_verified
    store = tk.open(traces.save(tmp_path / "a.parquet"))
    text = tk.report(store, tmp_path / "b.html").read_text()
    assert "jo.smith" not in text
    assert "billing [email]" in text
