"""Names as instrumentations write them, each beside its template."""

import pytest

from tracekit.name_templates import path_template, template

KEPT = """
GET
checkout
GET /orders
GET /orders/{id}
GET /orders/{orderId2}
GET /orders/:id
GET /v1/orders
GET /v2beta1/orders
GET /oauth2/token
POST /api/s3/put
SELECT orders
SELECT shop.orders
SELECT order_items_2
HGETALL
Lambda
HTTP GET
grpc.health.v1.Health/Check
com.example.Ledger2/Charge
S3.PutObject
x86_64 build
sha256 sum
utf-8 decode
Step 1
shard 12
retry 3 of 5
GET localhost:8080
GET ledger.shop.internal:8443
ledger@db.shop.internal
log4j flush
deadbeef
feedface cafe
ec2.describeInstances
SELECT * FROM orders WHERE id = ?
SELECT * FROM orders WHERE id = $1
SELECT * FROM orders WHERE id = :id
SELECT col1 FROM t2
Warteschlange prüfen
""".strip().splitlines()

TEMPLATES = """
GET /orders/8231 -> GET /orders/{id}
GET /orders/8 -> GET /orders/{id}
/orders/8231/items/17 -> /orders/{id}/items/{id}
GET /orders/o-0043 -> GET /orders/{id}
GET /u/3f2504e0-4f89-11d3-9a0c-0305e82c3301 -> GET /u/{id}
GET /u/3F2504E04F8911D39A0C0305E82C3301/x -> GET /u/{id}/x
job 3f2504e0-4f89-11d3-9a0c-0305e82c3301 -> job {id}
GET /objects/507f1f77bcf86cd799439011 -> GET /objects/{id}
GET /c/a1b2c3d4 -> GET /c/{id}
GET /k/01ARZ3NDEKTSV4RRFFQ69G5FAV -> GET /k/{id}
GET /mail/jane.doe@example.com -> GET /mail/{id}
GET /days/2024-01-05 -> GET /days/{id}
report 2024-01-05 -> report {id}
process order 8231 -> process order {id}
process order-8231 -> process order-{id}
order_8231 -> order_{id}
reply.amq_gen.12345 -> reply.amq_gen.{id}
user:8231:cart -> user:{id}:cart
worker(1234) -> worker({id})
GET /search?id=5&page=2 -> GET /search?id={id}&page={id}
GET localhost:8080/orders/8 -> GET localhost:8080/orders/{id}
SELECT * FROM orders WHERE id = 8231 -> SELECT * FROM orders WHERE id = ?
select a from t where n = 'O''Brien' and x=-1.5e3 -> select a from t where n = ? and x=?
SELECT a FROM t WHERE id IN (1, 2,3) LIMIT 10 -> SELECT a FROM t WHERE id IN (?) LIMIT ?
INSERT INTO t (a, b) VALUES (1, 'x'), (2, 'y') -> INSERT INTO t (a, b) VALUES (?)
UPDATE t2 SET a = 0x1F WHERE b = 'it -> UPDATE t2 SET a = ? WHERE b = ?
DELETE FROM t WHERE at < '2024-01-05' -> DELETE FROM t WHERE at < ?
""".strip().splitlines()


@pytest.mark.parametrize("name", KEPT)
def test_names_without_ids_are_their_own_template(name):
    assert template(name) == name


@pytest.mark.parametrize(("name", "expected"), [line.split(" -> ") for line in TEMPLATES])
def test_ids_and_literals_are_replaced(name, expected):
    assert template(name) == expected
    assert template(expected) == expected


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("https://shop.example/orders/8231?token=abc#top", "/orders/{id}"),
        ("https://shop.example", "/"),
        ("/checkout?x=1", "/checkout"),
        ("http://[broken/orders/8", ""),
        ("", ""),
        ("not a url", ""),
    ],
)
def test_path_of_a_url(url, path):
    assert path_template(url) == path


def test_ids_of_any_length_are_replaced_in_linear_time():
    assert template("GET /" + "9" * 300_000) == "GET /{id}"
    assert template("a1" * 100_000) == "{id}"
    assert template("SELECT " * 50_000 + "1") == "SELECT " * 50_000 + "1"
    assert template("-" * 100_000 + "1x") == "-" * 100_000 + "1x"
