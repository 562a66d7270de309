"""What the key of an attribute says about its value: a name, a phone number, a secret, or that of a machine."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final, NamedTuple

_PERSON: Final = (
    r"(?:user|end_?user|customer|person|patient|employee|contact|recipient|sender|owner|guest|passenger|subscriber"
    r"|payer|payee|beneficiary|shipping|billing|card_?holder|account_?holder|student|buyer|seller|driver|traveller)"
)
_BEFORE: Final = r"(?:.*_)?"
KEYED: Final[dict[str, re.Pattern[str]]] = {
    "secret": re.compile(
        _BEFORE + r"(?:password|passwd|pwd|passphrase|secret|(?:client|app|shared)_secret|(?:x_)?api_?key|access_?key"
        r"|secret_?key|private_?key|secret_access_key|authorization|proxy_authorization|cookie|set_cookie"
        r"|(?:access|refresh|id|auth|session|security|bearer|csrf|xsrf|api)_?token|token|credentials?|cvv2?|cvc2?)"
    ),
    "name": re.compile(
        _BEFORE + rf"(?:{_PERSON}_(?:(?:full|first|last|given|family|display|middle|maiden|nick)_?)?name"
        r"|(?<!_)full_?name|(?:first|last|given|family|middle|maiden|nick)_?name|surname|user_?name|enduser_id|name_on_card"
        r"|card_?holder|patient|recipient)"
    ),
    "phone number": re.compile(_BEFORE + r"(?:phone|telephone|mobile|msisdn|fax|cell_?phone)(?:_?(?:number|no|nr))?"),
    "birth date": re.compile(_BEFORE + r"(?:date_of_birth|birth_?date|birth_?day|dob)"),
    "postal address": re.compile(
        _BEFORE + r"(?:street(?:_address)?|(?:postal|shipping|billing|home|mailing|delivery)_address|address_line_?\d?"
        r"|postal_?code|zip_?code|post_?code)"
    ),
    "IP address": re.compile(
        _BEFORE + r"(?:client_address|client_ip|user_ip|end_?user_ip|remote_ip|remote_addr(?:ess)?|source_address"
        r"|source_ip|x_forwarded_for|forwarded_for|forwarded|x_real_ip|true_client_ip|cf_connecting_ip)"
    ),
}
"""By kind: the keys, in snake case, whose value is of that kind whatever it looks like."""

_MACHINE: Final = re.compile(
    r"(?:service|k8s|host|container|cloud|faas|telemetry|process|os|db|rpc|messaging|code|otel|aws|server|net_host"
    r"|net_peer|net_sock_peer|network|thread|deployment|webengine|peer|browser|user_agent|error|gen_ai|graphql|vcs"
    r"|cicd|library|scope|url_(?:path|template|scheme|domain)|http_(?:route|request_method|method|host|target|flavor"
    r"|user_agent|status_code|response_status_code|scheme|server_name))(?:_.*)?"
)
_NAMES_A_MACHINE: Final = re.compile(
    r"(?:service_(?:name|namespace|version)|peer_service|service_peer_name|aws_(?:local|remote)_service|host_name"
    r"|server_address|net_(?:peer|host)_name|http_host|k8s_.*_name|faas_name|container_name|cloud_.*)"
)
_NAMES_A_SERVICE: Final = re.compile(
    r"(?:service_(?:name|namespace|version)|peer_service|service_peer_name|aws_(?:local|remote)_service)"
)
_ID: Final = re.compile(
    r"(?:.*_)?(?:id|ids|uid|uuid|guid|hash|digest|checksum|etag|fingerprint|sha\d*|revision|commit|cursor|nonce|arn|salt"
    r"|trace_?parent|trace_?state|version|receipt_handle|stack_?trace|stack|build)"
)
_VERSION: Final = re.compile(r"(?:.*_)?(?:version|release|build|firmware|revision)")
_SQL: Final = re.compile(r"(?:.*_)?(?:db_statement|db_query_text|sql|sql_query|sanitized_query|query_text|statement)")
_PARAMETER: Final = re.compile(r"db_(?:query|operation|statement)_parameters?_.*|.*_sql_param(?:eter)?s?(?:_.*)?")
_URL_QUERY: Final = re.compile(r"(?:.*_)?(?:url_query|http_query|query_string|querystring)")
_WORDS: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


class Context(NamedTuple):
    """What a key says: the kind of its values (or ""), and what kinds they cannot be."""

    kind: str = ""
    is_machine: bool = False  # names, addresses and versions of services and hosts: not those of people
    names_a_machine: bool = False
    names_a_service: bool = False  # not a host, whose name may look like an address of a person
    is_id: bool = False
    is_version: bool = False
    is_sql: bool = False
    is_parameter: bool = False
    is_query: bool = False
    is_token: bool = False


@lru_cache(maxsize=65_536)
def context_of(key: str) -> Context:
    """Return what a key says about its values.

    Examples
    --------
    >>> context_of("app.customer.firstName").kind
    'name'
    >>> context_of("http.request.header.authorization").kind
    'secret'
    >>> context_of("service.name").is_machine
    True
    """
    plain = re.sub(r"[^a-z0-9]+", "_", _WORDS.sub("_", key[:500]).lower()).strip("_")
    is_machine = _MACHINE.fullmatch(plain) is not None
    kinds = [kind for kind, pattern in KEYED.items() if pattern.fullmatch(plain)]
    allowed = [kind for kind in kinds if not is_machine or kind == "secret"]
    return Context(
        kind=allowed[0] if allowed else "",
        is_machine=is_machine,
        names_a_machine=_NAMES_A_MACHINE.fullmatch(plain) is not None,
        names_a_service=_NAMES_A_SERVICE.fullmatch(plain) is not None,
        is_id=_ID.fullmatch(plain) is not None,
        is_version=_VERSION.fullmatch(plain) is not None,
        is_sql=_SQL.fullmatch(plain) is not None,
        is_parameter=_PARAMETER.fullmatch(plain) is not None,
        is_query=_URL_QUERY.fullmatch(plain) is not None,
        is_token=plain.endswith("token"),
    )


_WITHOUT: Final = re.compile(
    r"(?i)\s*|true|false|null|none|nil|n/?a|unknown|anonymous|guest|default|test|basic|bearer|digest|aws4-hmac-sha256"
    r"|[*x•.\-]+|.*\*{3}.*|.*\[?(?:redacted|filtered|masked|hidden|removed)\]?.*|[{<$?%:].*"
)


def is_count(context: Context, text: str) -> bool:
    """Return whether a text is a number such as a time to the first token, not a token."""
    return context.is_token and re.fullmatch(r"\d{1,4}", text) is not None


def is_value_of(kind: str, text: str) -> bool:
    """Return whether a text in a key of this kind can be one of its values, not a placeholder or a mask."""
    if _WITHOUT.fullmatch(text) or LABEL.fullmatch(text.strip()):
        return False
    digits = sum(letter.isdigit() for letter in text)
    if kind == "phone number":
        return 6 <= digits <= 20 and digits * 2 >= len(text.strip())  # noqa: PLR2004 - of a number with separators
    if kind == "birth date":
        return 4 <= digits <= 14  # noqa: PLR2004 - a year to a time stamp
    if kind == "name":
        letters = sum(letter.isalpha() for letter in text)
        return letters >= 2 and letters * 2 >= len(text) and not _MACHINE_ID.fullmatch(text)  # noqa: PLR2004 - initials
    if kind == "secret":
        return len(text) >= 3  # noqa: PLR2004 - a code of a card
    return True


_MACHINE_ID: Final = re.compile(r"(?i)[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[0-9a-f]{12,}")
LABEL: Final = re.compile(
    r"\[[A-Za-z][A-Za-z -]{2,30}(?: [0-9a-f]{12}| at [^\]\s]+)?\]|\?|REDACTED|(?:\d{1,3}\.){3}x|(?:[0-9a-f]{4}:){3}x"
)
"""What ``replace`` writes in the place of a match."""
