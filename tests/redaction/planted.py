"""Recordings with secrets planted in every place, and texts that only look like secrets."""

import base64
import json
import random
import string
import uuid

ALNUM = string.ascii_letters + string.digits
FIRST = ["Maria", "Johannes", "Aisha", "Chukwuemeka", "Siobhan", "Renée", "Wolfgang", "Yuki", "Priya", "Mateusz"]
LAST = ["Kowalczyk", "O'Sullivan", "Fernández", "Nakamura", "Oyelaran", "Lindqvist", "Haddad", "Petrovic", "Moreau"]
PERSON_KEYS = ["user.full_name", "customer.name", "enduser.id", "app.user.lastName", "recipient_name", "user.name"]
SECRET_KEYS = ["http.request.header.authorization", "db.password", "app.apiKey", "session_token", "cookie"]


def text_of(rng, alphabet, size):
    return "".join(rng.choice(alphabet) for _ in range(size))


def random_secret(rng, size=36):
    """A secret as generators make them: of letters of both cases and digits."""
    while True:
        found = text_of(rng, ALNUM, size)
        if sum(map(str.isdigit, found)) >= 3:
            return found


def luhn_digit(digits):
    """The last digit of a card, by the rule of ISO/IEC 7812 written out."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        double = int(digit) * 2 if place % 2 == 0 else int(digit)
        total += double - 9 if double > 9 else double
    return str(-total % 10)


def card(rng):
    body = rng.choice(["4", "51", "55", "6011", "2300"])
    body += text_of(rng, string.digits, 15 - len(body))
    number = body + luhn_digit(body)
    return number if rng.random() < 0.5 else " ".join(number[k : k + 4] for k in range(0, 16, 4))


def iban(rng):
    account = text_of(rng, string.digits, 18)
    check = 98 - int(f"{account}131400") % 97  # D = 13, E = 14
    return f"DE{check:02d}{account}"


def jwt(rng):
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": text_of(rng, string.digits, 9), "iat": rng.randrange(10**9)}]
    coded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    return ".".join([*coded, text_of(rng, ALNUM + "-_", 43)])


def private_key(rng):
    lines = "\n".join(text_of(rng, ALNUM + "+/", 64) for _ in range(4))
    return f"-----BEGIN RSA PRIVATE KEY-----\n{lines}\n-----END RSA PRIVATE KEY-----"


def ip_address(rng):
    if rng.random() < 0.5:
        return ".".join(str(part) for part in (rng.choice([31, 52, 81, 93, 151]), *rng.choices(range(1, 255), k=3)))
    return "2a02:8108:" + ":".join(f"{rng.randrange(4096, 65536):x}" for _ in range(6))


KINDS = {
    "email": lambda r: (
        f"{r.choice(FIRST).lower()}.{text_of(r, string.ascii_lowercase, 7)}@mail{r.randrange(99)}.example.org"
    ),
    "payment card": card,
    "IBAN": iban,
    "social security number": lambda r: f"{r.randrange(100, 665)}-{r.randrange(10, 99)}-{r.randrange(1000, 9999)}",
    "phone number": lambda r: f"+{r.choice([49, 44, 1, 33])} {r.randrange(100, 999)} {r.randrange(1000000, 9999999)}",
    "JSON web token": jwt,
    "AWS access key": lambda r: "AKIA" + text_of(r, string.ascii_uppercase + string.digits, 16),
    "API token": lambda r: (
        r.choice(["ghp_", "gho_"]) + text_of(r, ALNUM, 36)
        if r.random() < 0.5
        else f"xoxb-{r.randrange(10**11, 10**12)}-{text_of(r, ALNUM, 24)}"
    ),
    "private key": private_key,
    "credentials": lambda r: text_of(r, ALNUM, 6) + random_secret(r, 18) + "7Q",
    "password in an address": lambda r: f"{text_of(r, string.ascii_lowercase, 6)}:{text_of(r, ALNUM, 12)}",
    "secret in a parameter": lambda r: text_of(r, ALNUM, 10) + "9z",
    "IP address": ip_address,
    "name": lambda r: f"{r.choice(FIRST)} {r.choice(LAST)}-{text_of(r, string.ascii_lowercase, 6).capitalize()}",
    "high-entropy secret": lambda r: random_secret(r, r.randrange(32, 48)),
}
"""The generators of values, by kind."""

AS_SENT = {
    "credentials": lambda value: f"Bearer {value}",
    "password in an address": lambda value: f"postgres://{value}@db.example.org:5432/orders",
    "secret in a parameter": lambda value: f"password={value}",
}


def planted(seed, count=200):
    """``count`` values as (kind, value, text in which it is sent)."""
    rng = random.Random(seed)
    names = list(KINDS)
    values = {}
    while len(values) < count:
        kind = names[len(values) % len(names)]
        values.setdefault(KINDS[kind](rng), kind)
    return [(kind, value, AS_SENT.get(kind, str)(value)) for value, kind in values.items()]


PLACES = [
    lambda text, _: {"attributes": {"app.note": f"sent by {text} today"}},
    lambda text, _: {"event": {"exception.message": f"refused: {text}"}},
    lambda text, _: {"resource": {"app.contact": text}},
    lambda text, _: {"attributes": {"url.full": f"https://shop.example/find?page=2&q={text}&lang=en"}},
    lambda text, _: {"attributes": {"db.query.text": f"SELECT a FROM t WHERE b = '{quoted(text)}' AND c = 17"}},
    lambda text, _: {"name": f"handle {text}"},
    lambda text, _: {"message": f"cannot use {text} here"},
    lambda text, _: {"event_name": f"got {text}"},
    lambda text, _: {"attributes": {"app.tags": ["plain", text, "other"]}},
    lambda text, _: {"attributes": {"app.body": {"outer": {"inner": text, "count": 3}}}},
    lambda text, at: {"attributes": {SECRET_KEYS[at % len(SECRET_KEYS)]: text}},
]


def quoted(text):
    """A text inside of quotes in SQL."""
    return text.replace("'", "''")


def place(kind, text, at):
    """What a span, its event and its resource have in addition: a text in one of the places."""
    if kind != "name":
        return PLACES[at % len(PLACES)](text, at)
    turn = at // len(KINDS)  # only a key tells that it is one
    where = ["attributes", "event", "resource"][turn % 3]
    message = {"message": f"no order of {text} found"} if turn % 4 == 0 else {}
    return {where: {PERSON_KEYS[turn % len(PERSON_KEYS)]: text}} | message


def any_value(value):
    """A value as OTLP writes it."""
    if isinstance(value, dict):
        return {"kvlistValue": {"values": pairs(value)}}
    if isinstance(value, list):
        return {"arrayValue": {"values": [any_value(one) for one in value]}}
    return {"intValue": str(value)} if isinstance(value, int) else {"stringValue": value}


def pairs(attributes):
    return [{"key": key, "value": any_value(value)} for key, value in attributes.items()]


def recording(values, *, seed=0):
    """OTLP JSON Lines: one trace of two spans for each value, with the value in one of the places."""
    rng = random.Random(seed)
    lines = []
    for at, (kind, _, text) in enumerate(values):
        put = place(kind, text, at)
        trace_id, root, child = uuid.UUID(int=rng.getrandbits(128)).hex, f"{at + 1:016x}", f"{at + 10**6:016x}"
        start = 1_700_000_000_000_000_000 + at * 10**9
        event = {"name": put.get("event_name", "checkpoint"), "attributes": pairs(put.get("event", {}))}
        spans = [
            {
                "traceId": trace_id, "spanId": root, "name": "GET /shop", "kind": 2,
                "startTimeUnixNano": str(start), "endTimeUnixNano": str(start + 5 * 10**7),
                "attributes": pairs({"http.request.method": "GET", "http.route": "/shop"}),
            },
            {
                "traceId": trace_id, "spanId": child, "parentSpanId": root, "name": put.get("name", "GET"), "kind": 3,
                "startTimeUnixNano": str(start + 10**6), "endTimeUnixNano": str(start + 4 * 10**7),
                "attributes": pairs({"app.order.id": f"{at:08d}", **put.get("attributes", {})}),
                "events": [{"timeUnixNano": str(start + 2 * 10**6), **event}],
                "status": {"code": 2, "message": put["message"]} if "message" in put else {},
            },
        ]  # fmt: skip
        owner = {"service.name": "orders", "host.name": "web-1", **put.get("resource", {})}
        lines.append({"resourceSpans": [{"resource": {"attributes": pairs(owner)}, "scopeSpans": [{"spans": spans}]}]})
    return "\n".join(json.dumps(line, ensure_ascii=False) for line in lines).encode()


# -------------------------------------------------------------------- look-alikes

WORDS = ["order", "cart", "Payment", "user", "Service", "handler", "stock", "Checkout", "item", "Http", "request"]
WORDS += ["Abstract", "Factory", "Bean", "proxy"]
POD = "bcdfghjklmnpqrstvwxz2456789"
PACKAGES = ["org.springframework.web.servlet", "com.acme.shop.checkout.internal", "io.netty.handler.codec.http2"]


def order_number(rng):
    """Sixteen digits that begin like a card and fail its check digit."""
    body = "4" + text_of(rng, string.digits, 14)
    return body + str((int(luhn_digit(body)) + rng.randrange(1, 10)) % 10)


def class_name(rng):
    name = "".join(rng.choice(WORDS).capitalize() for _ in range(rng.randrange(3, 7)))
    return f"{rng.choice(PACKAGES)}.{name}{rng.choice(['', '2', 'V3', '$Inner1', '$$Lambda$14'])}"


LOOKALIKES = {
    "order number": order_number,
    "uuid": lambda r: str(uuid.UUID(int=r.getrandbits(128), version=4)),
    "version": lambda r: (
        ".".join(str(r.randrange(20)) for _ in range(r.choice([3, 4])))
        + r.choice(["", "", "-rc1", "+build.7", "-SNAPSHOT"])
    ),
    "hex id": lambda r: text_of(r, "0123456789abcdef", r.choice([8, 16, 24, 32, 40, 64])),
    "timestamp": lambda r: r.choice(
        [
            f"2026-11-{r.randrange(1, 29):02d}T{r.randrange(24):02d}:{r.randrange(60):02d}:07.123Z",
            str(r.randrange(1_600_000_000_000, 1_900_000_000_000)),
            str(r.randrange(1_600_000_000_000_000_000, 1_900_000_000_000_000_000)),
        ]
    ),
    "class name": class_name,
    "base64 of words": lambda r: base64.b64encode(
        " ".join(r.choice(WORDS) for _ in range(r.randrange(1, 8))).encode()
    ).decode(),
    "clock": lambda r: f"{r.randrange(24):02d}:{r.randrange(60):02d}:{r.randrange(60):02d}",
    "pod": lambda r: f"checkout-{text_of(r, POD, 10)}-{text_of(r, POD, 5)}",
    "path": lambda r: f"/api/v{r.randrange(4)}/" + "/".join(r.choice(WORDS) for _ in range(r.randrange(2, 6))),
    "sku": lambda r: f"{text_of(r, string.ascii_uppercase, 3)}-{r.randrange(10**3)}-{r.randrange(10**4)}",
}
"""Generators of texts that are neither personal nor secret."""


def lookalikes(seed, count):
    rng = random.Random(seed)
    names = list(LOOKALIKES)
    return [(names[k % len(names)], LOOKALIKES[names[k % len(names)]](rng)) for k in range(count)]
