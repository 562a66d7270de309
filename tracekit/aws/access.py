"""Session, region and credentials for AWS calls, and error messages about them."""

from __future__ import annotations

import re
from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from tracekit.errors import PullError

_LOGIN = "log in again (`aws sso login`)"
_TEST = "test with `aws sts get-caller-identity`"
CLOCK = "check the clock of this machine, then the credentials"
_CLOCK_SKEW = frozenset(
    {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_UNKNOWN = frozenset({"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"})
INVALID_CREDENTIALS = {
    **dict.fromkeys(_EXPIRED, "the credentials have expired: renew them"),
    **dict.fromkeys(_UNKNOWN, "AWS does not know these credentials: check AWS_PROFILE and the region"),
    **dict.fromkeys(_CLOCK_SKEW, CLOCK),
}
"""Remedies by error code, for invalid credentials."""

ACCESS_DENIED = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
"""Error codes for missing permissions."""

_MIN_SECRET = 16  # characters of the shortest access key id; emulators accept any text, for example "test"
_HTML = re.compile(r"\s*<(!doctype html|html)\b", re.IGNORECASE)
_UNKNOWN_PATH = frozenset({404, 405, 501})
NOT_OFFERED = "not offered by this endpoint"
CHECK_ENDPOINT = "check AWS_ENDPOINT_URL and proxies"


class EndpointError(OSError):
    """The endpoint is not one of AWS, or does not offer the operation."""


class Access:
    """A boto3 session with region and credentials.

    Parameters
    ----------
    session
        A ``boto3.Session``; by default a new one with boto3's credential chain.
    region
        Overrides that of the session.
    profile
        AWS profile, if no session is given.

    Raises
    ------
    PullError
        No region, no credentials, an unknown profile, or an expired login.
    """

    def __init__(self, session: Any = None, *, region: str | None = None, profile: str | None = None) -> None:
        import boto3  # noqa: PLC0415 - heavy, and most users of tracekit never call AWS
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - likewise

        if session is not None and not hasattr(session, "get_credentials"):
            message = f"expected a boto3 session, found {type(session).__name__}"
            raise TypeError(f"{message}; pass boto3.Session(...), or region= and profile=")
        self._secrets: set[str] = set()
        self._credentials: Any = None
        failure: BotoCoreError | ClientError | None = None
        try:
            self.session = session or boto3.Session(region_name=region, profile_name=profile)
            self.region = str(region or self.session.region_name or "")
            self._credentials = self.session.get_credentials()
            self._add_secrets()
        except (BotoCoreError, ClientError) as error:
            failure = error
        if failure is not None:
            raise PullError(f"expected an AWS session with credentials, {self.explained(failure)}")
        if not self.region:
            message = "no AWS region: pass --region (Python: region=), or set AWS_DEFAULT_REGION"
            raise PullError(message)
        if self._credentials is None:
            message = f"no AWS credentials found (environment, profile, role); {_TEST}"
            raise PullError(message)

    def explained(self, error: Exception) -> str:
        """Return an error about credentials with its remedy."""
        text = self.cleaned(" ".join(str(error).split()))
        is_login = "SSO" in type(error).__name__ or "sso" in text.lower()
        return f"found {type(error).__name__}: {text.rstrip('.')}; {_LOGIN if is_login else _TEST}"

    def cleaned(self, text: str) -> str:
        """Return a text without credentials, which AWS repeats in some errors."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy

        with suppress(BotoCoreError, ClientError):  # an expired login; earlier secrets are known
            self._add_secrets()
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = re.sub(rf"(?:(?<!\w)|(?<=\\[nrt])){re.escape(secret)}(?!\w)", "***", text)  # whole, also in a repr
        return text

    def _add_secrets(self) -> None:
        """Remember the current secrets, to remove them from messages."""
        if self._credentials is not None:
            frozen = self._credentials.get_frozen_credentials()
            found = (frozen.secret_key, frozen.token, frozen.access_key)
            self._secrets |= {secret for secret in found if secret and len(secret) >= _MIN_SECRET}

    def ca_bundle(self) -> Any:
        """Return the file of CA certificates in AWS_CA_BUNDLE or the profile, or None."""
        from botocore.session import Session  # noqa: PLC0415 - heavy

        name = self.session.profile_name
        return Session(profile=None if name == "default" else name).get_config_variable("ca_bundle")

    def hint(self, service: str) -> str:
        """Return the remedy for a failed connection."""
        known = sorted(
            region
            for partition in self.session.get_available_partitions()
            for region in self.session.get_available_regions(service, partition)
        )
        near = get_close_matches(self.region, known, 1) if self.region not in known else []
        if self.region in known:
            return "check the network and proxies"
        return f"check the region {self.region}{f' (similar: {near[0]})' if near else ''} and the network"


def endpoint_problem(status: int, body: str) -> str:
    """Return the problem if an error response is not one of AWS, or if the operation is not implemented; else ""."""
    is_page = _HTML.match(body) is not None
    if status == 501 or (is_page and status in _UNKNOWN_PATH):  # noqa: PLR2004 - not implemented
        return f"{NOT_OFFERED} ({status})"
    return f"an HTML page instead of an AWS response ({status})" if is_page else ""


def is_credential_error(error: Exception) -> bool:
    """Return whether credentials were missing or could not be renewed."""
    from botocore import exceptions  # noqa: PLC0415 - heavy

    return isinstance(
        error,
        (
            exceptions.CredentialRetrievalError,
            exceptions.NoCredentialsError,
            exceptions.PartialCredentialsError,
            exceptions.SSOError,
            exceptions.TokenRetrievalError,
        ),
    )
