"""Session, region and credentials of everything that asks AWS, and the words for what is wrong with them."""

from __future__ import annotations

from contextlib import suppress
from difflib import get_close_matches
from typing import Any

from tracekit.errors import PullError

_LOGIN = "log in again (`aws sso login`)"
_TEST = "try `aws sts get-caller-identity`"
CLOCK = "check the clock of this machine, then the credentials"
_OF_THE_CLOCK = frozenset(
    {"InvalidSignatureException", "RequestExpired", "RequestTimeTooSkewed", "SignatureDoesNotMatch"}
)
_EXPIRED = frozenset({"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired"})
_UNKNOWN = frozenset({"AuthFailure", "InvalidClientTokenId", "UnrecognizedClientException"})
USELESS = {
    **dict.fromkeys(_EXPIRED, "the credentials have expired: renew them"),
    **dict.fromkeys(_UNKNOWN, "these credentials are not known to AWS: check AWS_PROFILE and the region"),
    **dict.fromkeys(_OF_THE_CLOCK, CLOCK),
}
"""What to do where AWS refuses the credentials themselves, by its code."""


FORBIDDEN = frozenset({"AccessDenied", "AccessDeniedException", "AuthorizationError", "UnauthorizedOperation"})
"""Codes with which AWS says that credentials may not ask this."""


class Access:
    """A session with a region and credentials that can be used.

    Parameters
    ----------
    session
        A ``boto3.Session``; by default a new one, which finds its credentials as boto3 does.
    region
        Instead of the session's own.
    profile
        Of boto3's configuration, where no session is given.

    Raises
    ------
    PullError
        No region, no credentials, a profile that is not there, a login that has ended.
    """

    def __init__(self, session: Any = None, *, region: str | None = None, profile: str | None = None) -> None:
        import boto3  # noqa: PLC0415 - heavy, and most users of tracekit never call AWS
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - likewise

        self._secrets: set[str] = set()
        self._credentials: Any = None
        failure: BotoCoreError | ClientError | None = None
        try:
            self.session = session or boto3.Session(region_name=region, profile_name=profile)
            self.region = str(region or self.session.region_name or "")
            self._credentials = self.session.get_credentials()
            self._learn()
        except (BotoCoreError, ClientError) as error:
            failure = error
        if failure is not None:
            raise PullError(f"expected a session of AWS with credentials, {self.explained(failure)}")
        if not self.region:
            message = (
                "expected a region, found none: give region= (--region), or set AWS_DEFAULT_REGION, or the profile's"
            )
            raise PullError(message)
        if self._credentials is None:
            message = f"expected credentials in boto3's own chain (environment, profile, role), found none; {_TEST}"
            raise PullError(message)

    def explained(self, error: Exception) -> str:
        """Return what was found instead of credentials, and what to do about it."""
        text = self.cleaned(" ".join(str(error).split()))
        is_login = "SSO" in type(error).__name__ or "sso" in text.lower()
        return f"found {type(error).__name__}: {text.rstrip('.')}; {_LOGIN if is_login else _TEST}"

    def cleaned(self, text: str) -> str:
        """Return a text without the credentials: AWS repeats them in some of its errors."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - heavy

        with suppress(BotoCoreError, ClientError):  # of a login that has ended meanwhile, those of before are known
            self._learn()
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, "***")
        return text

    def _learn(self) -> None:
        """Take note of what must never be shown."""
        if self._credentials is not None:
            frozen = self._credentials.get_frozen_credentials()
            self._secrets |= {secret for secret in (frozen.secret_key, frozen.token, frozen.access_key) if secret}

    def hint(self, service: str) -> str:
        """Return what may be the matter where nobody can be reached."""
        known = sorted(
            region
            for partition in self.session.get_available_partitions()
            for region in self.session.get_available_regions(service, partition)
        )
        near = get_close_matches(self.region, known, 1) if self.region not in known else []
        if self.region in known:
            return "is the network up, and is there a proxy in between?"
        return f"is the region {self.region} right{f' (boto3 knows {near[0]})' if near else ''}, and the network up?"


def is_of_credentials(error: Exception) -> bool:
    """Return whether boto3 could not sign, because credentials were missing or could not be renewed."""
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
