"""What becomes of personal data and secrets: an action for each kind, and for chosen keys."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from tracekit.redaction import STANDARD
from tracekit.redaction.kinds import KINDS, PRIVATE, SQL, URL
from tracekit.wildcards import compiled

ACTIONS: Final = ("mask", "drop", "pseudonym", "generalise", "keep")
KEY_VARIABLE: Final = "TRACEKIT_REDACTION_KEY"
_SHORTEST: Final = 16
_STANDARD_KINDS: Final = {"IP address": "generalise", SQL: "generalise", URL: "generalise", PRIVATE: "keep"}
_EXAMPLE: Final = 'default = "mask", then [kinds] with email = "pseudonym", and [keys] with "app.customer.*" = "drop"'


@dataclass(frozen=True)
class Policy:
    """What becomes of personal data and secrets.

    Parameters
    ----------
    default
        Action for kinds that ``kinds`` does not name:

        * ``mask``: the match becomes its kind in brackets, such as ``[email]``; the rest of the text stays;
        * ``drop``: the attribute is removed; in names, messages and the like as ``mask``;
        * ``pseudonym``: the kind and 12 digits of a keyed hash (HMAC-SHA256), such as ``[email 0f3a9c51d2e8]``: equal
          values stay equal, also in other files with the same key, and nobody without the key can tell the value;
        * ``generalise``: a part that is not personal stays: the network of an IP address (``203.0.113.x``), the domain
          of an e-mail address; values in SQL become ``?``, in URLs ``REDACTED``; other kinds as ``mask``;
        * ``keep``: nothing.
    kinds
        Action by kind; ``tk.privacy`` lists the kinds.  Without an entry, IP addresses and values in SQL and URLs are
        generalised and private addresses kept.
    keys
        Action by attribute key, with ``*`` for any text: for the whole value, whatever it contains.
    pseudonym_key
        Secret of pseudonyms, at least 16 characters.  Default: the environment variable ``TRACEKIT_REDACTION_KEY``.

    Raises
    ------
    ValueError
        An action or kind that does not exist, or pseudonyms without a key.
    TypeError
        ``kinds`` or ``keys`` is not a mapping.

    Examples
    --------
    >>> policy = tk.Policy(kinds={"email": "pseudonym"}, keys={"app.customer.*": "drop"}, pseudonym_key="k" * 16)
    >>> policy.action("email"), policy.action("payment card"), policy.action_of_key("app.customer.id")
    ('pseudonym', 'mask', 'drop')
    """

    default: str = "mask"
    kinds: Mapping[str, str] = field(default_factory=dict)
    keys: Mapping[str, str] = field(default_factory=dict)
    pseudonym_key: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        """Check kinds and actions."""
        for name in ("kinds", "keys"):
            if not isinstance(getattr(self, name), Mapping):
                raise TypeError(f"expected a mapping for {name}, found {getattr(self, name)!r}; write {_EXAMPLE}")
        for kind in self.kinds:
            if kind not in KINDS:
                near = get_close_matches(str(kind), KINDS, 1)
                hint = f"; did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"expected a kind of {', '.join(KINDS)}, found {kind!r}{hint}")
        actions = [self.default, *self.kinds.values(), *self.keys.values()]
        for action in actions:
            if action not in ACTIONS:
                raise ValueError(f"expected an action of {', '.join(ACTIONS)}, found {action!r}")
        if "pseudonym" in actions and len(self.secret) < _SHORTEST:
            raise ValueError(
                f"expected a pseudonym_key of at least {_SHORTEST} characters for pseudonyms, found {len(self.secret)};"
                f" set it in the policy or in the environment variable {KEY_VARIABLE}, and keep it secret"
            )

    @property
    def secret(self) -> str:
        """The key of pseudonyms; empty without one."""
        return self.pseudonym_key or os.environ.get(KEY_VARIABLE, "")

    def action(self, kind: str) -> str:
        """Return the action for a kind."""
        return self.kinds.get(kind) or _STANDARD_KINDS.get(kind) or self.default

    def action_of_key(self, key: str) -> str | None:
        """Return the action for the whole value of a key; None if the policy does not name it."""
        return next((act for pattern, act in self.keys.items() if compiled(pattern).fullmatch(key)), None)


def policy_of(given: Any) -> Policy | None:
    """Return the policy that an argument ``redact`` stands for; None for no redaction."""
    if given is None or isinstance(given, Policy):
        return given
    if given == STANDARD:
        return Policy()
    if isinstance(given, Mapping):
        return _of_mapping(given, "the policy")
    if isinstance(given, str | Path) and str(given).endswith(".toml"):
        return _read(Path(given).expanduser())
    raise ValueError(
        f"expected {STANDARD!r}, a tk.Policy, a mapping, a file NAME.toml, or None for no redaction, found {given!r}"
    )


def _read(path: Path) -> Policy:
    """Return the policy of a TOML file."""
    if not path.is_file():
        raise ValueError(f"expected a file with a redaction policy, found none at {path}")
    try:
        found = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path}: not TOML: {error}; expected {_EXAMPLE}") from error
    return _of_mapping(found, str(path))


def _of_mapping(given: Mapping[str, Any], what: str) -> Policy:
    """Return the policy of a mapping or file; ValueError names what it is of."""
    known = set(Policy.__dataclass_fields__)
    unknown = sorted(set(given) - known)
    if unknown:
        raise ValueError(f"{what}: expected {', '.join(sorted(known))}, found {unknown[0]!r}; write {_EXAMPLE}")
    try:
        return Policy(**given)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what}: {error}") from error
