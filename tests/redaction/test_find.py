"""What is found in a text, and what only looks like it; the examples are written by hand or made by ``planted``."""

from collections import Counter

import numpy as np
import pytest
from planted import AS_SENT, KINDS, lookalikes, planted

from tracekit.redaction.find import found_in
from tracekit.redaction.keys import context_of
from tracekit.redaction.tables import strings

KEPT = {"private address"}  # listed, and kept by the default policy


def matches_of(text, key=""):
    texts = strings([text])
    found = found_in(texts, [context_of(key)], np.zeros(1, np.int64))
    return [(m.kind, text[m.begin : m.end]) for _, text, matches in found.by_row(texts) for m in matches]


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("", "mail jo@example.org, please", [("email", "jo@example.org")]),
        ("", "/users/jo@example.org/orders", [("email", "jo@example.org")]),
        ("", "card 4111111111111111 refused", [("payment card", "4111111111111111")]),
        ("", "card 4111111111111112 refused", []),
        ("", "key AKIAIOSFODNN7EXAMPLE", [("AWS access key", "AKIAIOSFODNN7EXAMPLE")]),
        ("", "Authorization: Bearer abcDEF123456789012345", [("credentials", "abcDEF123456789012345")]),
        ("", "postgres://jo:s3cret@db.example.org/x", [("password in an address", "jo:s3cret")]),
        ("", "password=hunter&user=4", [("secret in a parameter", "hunter")]),
        ("", '{"password": "a b c d", "n": 1}', [("secret in a parameter", "a b c d")]),
        ("", "token: expired", []),
        ("", "max_tokens=40960", []),
        ("", "from 151.101.1.69 to 10.0.0.7", [("IP address", "151.101.1.69"), ("private address", "10.0.0.7")]),
        ("", "2a02:8108:1::7 at 10:20:30", [("IP address", "2a02:8108:1::7")]),
        ("", "Chrome/120.0.0.0 Safari/537.36", []),
        ("client.address", "10.0.0.7", [("IP address", "10.0.0.7")]),
        ("server.address", "151.101.1.69", []),
        ("service.version", "151.101.1.69", []),
        ("", "1.12.3.4", []),
        ("user.name", "Jo Smith", [("name", "Jo Smith")]),
        ("customer.firstName", "Jo", [("name", "Jo")]),
        ("service.name", "Jo Smith", []),
        ("db.user.name", "orders_rw", []),
        ("enduser.id", "550e8400-e29b-41d4-a716-446655440000", []),
        ("contact.phone", "(030) 123 456", [("phone number", "(030) 123 456")]),
        ("is_mobile", "true", []),
        ("http.request.header.cookie", "a=b", [("secret", "a=b")]),
        ("k8s.secret", "s3cret", [("secret", "s3cret")]),
        ("date_of_birth", "1980-02-03", [("birth date", "1980-02-03")]),
        ("shipping.address", "1 High Street", [("postal address", "1 High Street")]),
        ("url.full", "https://x.example/a?b=c1&d={id}#e", [("URL query value", "c1")]),
        ("url.query", "b=c1&d=REDACTED", [("URL query value", "c1")]),
        ("", "is it? a=b", []),
        ("db.query.text", "SELECT * FROM t1 WHERE a = 'x''y' AND b = $1", [("SQL literal", "'x''y'")]),
        ("db.query.text", "SELECT 1 /* id='7' */", [("SQL literal", "1")]),
        ("db.query.text", 'SELECT "a" FROM t WHERE b = "c"', [("SQL literal", '"c"')]),
        ("", "failed: INSERT INTO t VALUES (5, 'x')", [("SQL literal", "5"), ("SQL literal", "'x'")]),
        ("db.query.parameter.0", "Jo", [("SQL literal", "Jo")]),
        ("", "postgres://app:p@ssw0rdXyz@db:5432/x", [("password in an address", "app:p@ssw0rdXyz")]),
        ("", "postgres://app:p/w0rd@db:5432/x", [("password in an address", "app:p/w0rd")]),
        ("", "http://shop:8080/users/@jo and http://[::1]:80/a@b", []),
        ("", "http://shop:8080/p?x=a http://shop/a:b/c@d", [("URL query value", "a")]),
        ("full_name", "Jo Smith", [("name", "Jo Smith")]),
        ("repository.full_name", "Octo Cat", []),
        ("", '"amqp://a:bcd@h","Jo"@x', [("password in an address", "a:bcd")]),
        ("db.query.text", "SELECT a FROM t WHERE b = ANY(ARRAY['Jo Smith'])", [("SQL literal", "'Jo Smith'")]),
        ("db.query.text", "SELECT [order id] FROM [t] WHERE [n]='Jo'", [("SQL literal", "'Jo'")]),
        ("db.query.text", 'SELECT a FROM t WHERE b LIKE "%smith%"', [("SQL literal", '"%smith%"')]),
        (
            "db.query.text", 'SELECT a FROM t WHERE b BETWEEN "Jo" AND "Li" AND "c" = $1',
            [("SQL literal", '"Jo"'), ("SQL literal", '"Li"')],
        ),
        (
            "db.query.text", "SELECT a FROM t WHERE b IN ($$Jo Smith$$, $tag$Li $1 $$ x$tag$) AND c = $2",
            [("SQL literal", "$$Jo Smith$$"), ("SQL literal", "$tag$Li $1 $$ x$tag$")],
        ),
        (
            "db.query.text", "SELECT a FROM t WHERE p='C:\\' AND n='Jo'",
            [("SQL literal", "'C:\\'"), ("SQL literal", "'Jo'")],
        ),
        (
            "db.query.text", "SELECT a FROM t WHERE p='it\\'s Jo' AND n='x'",
            [("SQL literal", "'it\\'s Jo'"), ("SQL literal", "'x'")],
        ),
        (
            "db.query.text", '{"find": "users", "filter": {"who": "Jo", "age": {"$gt": 41}}}',
            [("SQL literal", "Jo"), ("SQL literal", "41")],
        ),
        ("db.query.text", '{"find": "users", "filter": {"who": "?"}}', []),
        ("db.query.text", 'db.users.find({"who": "Jo Sm', [("SQL literal", "Jo Sm")]),
        ("", "SELECT entries 5", []),
        ("", "call to ledger failed: code=503 after 3 attempts", []),
        ("", "select a from t where b=5", [("SQL literal", "5")]),
        ("db.query.text", "call refund(5)", [("SQL literal", "5")]),
        ("function.full_name", "shop.orders.place", []),
        ("user.full_name", "jo smith", [("name", "jo smith")]),
        ("gen_ai.server.time_to_first_token", "512", []),
        ("auth.token", "849302", [("secret", "849302")]),
        ("", "update 3 items of the cart", []),
        ("user.password", "[secret]", []),
        ("user.password", "********", []),
        ("user.name", "[name 0f3a9c51d2e8]", []),
        ("", "", []),
    ],
)  # fmt: skip
def test_what_is_found(key, text, expected):
    assert matches_of(text, key) == expected


@pytest.mark.parametrize("key", ["app.value", ""])
@pytest.mark.parametrize("around", ["{}", "saw {} in the job"])
def test_lookalikes_are_not_found(key, around):
    """Order numbers, UUIDs, versions, hex ids, times, class names, base64 of words: at most 1% of 20,000."""
    texts = lookalikes(7, 20_000)
    shown = strings([around.format(text) for _, text in texts])
    rows = found_in(shown, [context_of(key)], np.zeros(len(texts), int)).by_row(shown)
    wrong = Counter(texts[row][0] for row, _, found in rows if {match.kind for match in found} - KEPT)
    assert wrong.total() <= 200, wrong


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"name"}))
def test_every_kind_is_found_in_a_sentence(kind):
    for _, value, text in [one for one in planted(11, 400) if one[0] == kind]:
        shown = f"it was {AS_SENT.get(kind, str)(value)} today"
        covered = [part for _, part in matches_of(shown)]
        assert any(value in part for part in covered), (text, covered)


def test_a_hundred_thousand_ids_of_traces_are_no_secrets():
    rng = np.random.default_rng(5)
    ids = [rng.bytes(size).hex() for size in (8, 16) for _ in range(50_000)]
    assert len(found_in(strings(ids), [context_of("app.trace")], np.zeros(len(ids), np.int64)).row) == 0
