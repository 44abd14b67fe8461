"""What can go wrong, by meaning.

::

    XinyiError
    ├── ConfigurationError          the client was built with something unusable
    ├── ConnectionFailed            no answer came
    │   └── TimedOut                … in time
    ├── InvalidResponse             an answer came that the API doesn't describe
    ├── APIError                    the platform refused: code, status, request_id, problem, retry_after, hint
    │   ├── AuthenticationError     401, and OAuth's invalid_client, invalid_grant, …
    │   ├── PermissionDenied        403
    │   │   ├── NotEntitled
    │   │   ├── PartnerSuspended
    │   │   ├── ScenarioMismatch
    │   │   └── ConsentError        the consent doesn't carry this check
    │   │       ├── ConsentRequired     404: there is no such consent
    │   │       ├── ConsentPaused
    │   │       ├── ConsentWithdrawn
    │   │       ├── ConsentExpired
    │   │       ├── ConsentConsumed
    │   │       └── ConsentOutdated
    │   ├── NotFound                404: it doesn't exist, or it isn't yours
    │   ├── WrongState              409
    │   ├── InvalidRequest          400, 405, 413, 415, 422, 431
    │   │   └── IdempotencyKeyReused
    │   ├── RateLimited             429
    │   │   └── CoolingDown         too early to ask this subject again
    │   └── Unavailable             5xx
    ├── CallbackInvalid             the callback isn't the one that was asked for
    ├── ConsentFailed               the redirect came back with an error
    │   └── ConsentRefused          … because the subject didn't agree
    ├── ConsentUnread               the consent was given, and couldn't be read
    ├── ProofInvalid                something offline doesn't prove what it should, and why
    │   ├── ReceiptInvalid          … a receipt
    │   ├── CopyInvalid             … the signed copy of a written consent
    │   └── LogInvalid              … a checkpoint, or two of them together
    └── WebhookInvalid              a delivery isn't the platform's, or isn't new
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Final

__all__ = [
    "APIError",
    "AuthenticationError",
    "CallbackInvalid",
    "ConfigurationError",
    "ConnectionFailed",
    "ConsentConsumed",
    "ConsentError",
    "ConsentExpired",
    "ConsentFailed",
    "ConsentOutdated",
    "ConsentPaused",
    "ConsentRefused",
    "ConsentRequired",
    "ConsentUnread",
    "ConsentWithdrawn",
    "CoolingDown",
    "CopyInvalid",
    "IdempotencyKeyReused",
    "InvalidRequest",
    "InvalidResponse",
    "LogInvalid",
    "NotEntitled",
    "NotFound",
    "PartnerSuspended",
    "PermissionDenied",
    "ProofInvalid",
    "RateLimited",
    "ReceiptInvalid",
    "ScenarioMismatch",
    "TimedOut",
    "Unavailable",
    "WebhookInvalid",
    "WrongState",
    "XinyiError",
]


class XinyiError(Exception):
    """The base of everything that this package raises on purpose."""


class ConfigurationError(XinyiError):
    """The client was built with something unusable. Names the setting, never its value."""


class ConnectionFailed(XinyiError):
    """No answer came, after all tries.

    Whether the platform acted is unknown; the same idempotency key may be used again.
    """


class TimedOut(ConnectionFailed):
    """The answer didn't come within the timeout."""


class InvalidResponse(XinyiError):
    """An answer came that the API doesn't describe.

    Most often a proxy's, or another service's under the same address.
    """


class APIError(XinyiError):
    """The platform refused.

    ``code`` is stable and is what to branch on, if the class isn't enough; ``status`` is the HTTP status;
    ``request_id`` is what support asks for; ``problem`` is the whole problem document (RFC 9457) or OAuth error (RFC
    6749 §5.2); ``source`` points at the bad member; ``retry_after`` is in seconds and ``None`` when the platform
    named no time; ``hint`` says what to do next.
    """

    hint: ClassVar[str] = "See the error's code under /v1/metadata/error-codes."

    def __init__(
        self, problem: Mapping[str, Any], status: int, request_id: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(problem, status, request_id, retry_after)
        self.problem: Mapping[str, Any] = problem
        self.status: int = status
        self.request_id: str | None = request_id
        self.retry_after: float | None = retry_after
        self.code: str = str(problem.get("code") or problem.get("error") or f"http_{status}")
        self.detail: str | None = _text(problem, "detail", "error_description", "title")
        self.source: str | None = _text(problem, "source")

    def __str__(self) -> str:
        said = f"{self.code} ({self.status})"
        if self.detail and _words(self.detail.rpartition(" / ")[2]) != _words(self.code):
            said += f": {self.detail.rstrip('.')}"
        if self.source:
            said += f" (at {self.source})"
        said += f". {self.hint}"
        if self.retry_after is not None:
            said += f" [retry_after {self.retry_after:g}]"
        return f"{said} [request {self.request_id}]" if self.request_id else said


def _words(text: str) -> str:
    return text.replace("_", " ").strip(" .").casefold()


def _text(problem: Mapping[str, Any], *names: str) -> str | None:
    return next((value for name in names if isinstance(value := problem.get(name), str) and value), None)


class AuthenticationError(APIError):
    """The platform doesn't accept who is calling."""

    hint = "Check client_id, and that the public half of this private key is registered with the operator."


class PermissionDenied(APIError):
    """The platform knows who is calling and doesn't allow this."""

    hint = "Ask the operator which scopes and scenarios this client has."


class NotEntitled(PermissionDenied):
    """This client wasn't given the scenario."""

    hint = "Ask the operator to give this client the scenario."


class PartnerSuspended(PermissionDenied):
    """The partner is suspended."""

    hint = "Contact the operator; trying again doesn't help."


class ScenarioMismatch(PermissionDenied):
    """The consent was given for another scenario."""

    hint = "Use the consent that was given for this scenario, or ask for one with consents.start()."


class ConsentError(PermissionDenied):
    """The consent doesn't carry this check."""

    hint = "Ask the subject again with consents.start(), and keep the scenario's fallback open."


class ConsentRequired(ConsentError):
    """There is no such consent: it was never given, or it isn't yours. The platform tells these cases by one 404."""


class ConsentPaused(ConsentError):
    """The subject has paused the consent."""

    hint = "Offer the scenario's fallback; the subject can resume the consent in the portal."


class ConsentWithdrawn(ConsentError):
    """The subject or the partner has ended the consent. Receipts of earlier checks stay valid."""

    hint = "Offer the scenario's fallback, and don't ask again unless the subject starts it."


class ConsentExpired(ConsentError):
    """The consent's time is over."""


class ConsentConsumed(ConsentError):
    """The consent was for one check, and that one was made."""


class ConsentOutdated(ConsentError):
    """The scenario has changed in a way that the consent doesn't cover."""


class NotFound(APIError):
    """It doesn't exist, or it isn't yours: the platform doesn't tell which."""

    hint = "Check the id, and that it was made by this client."


class WrongState(APIError):
    """The thing is in a state that doesn't allow this."""

    hint = "Read it again and decide by its state."


class InvalidRequest(APIError):
    """The request can't be accepted as it is; sending it again doesn't help."""

    hint = "Correct the request."


class IdempotencyKeyReused(InvalidRequest):
    """The idempotency key was used before with another body."""

    hint = "Use one idempotency key for one request only, or leave it to the SDK."


class RateLimited(APIError):
    """Too many requests, still after the retries."""

    hint = "Wait for retry_after seconds, or slow down."


class CoolingDown(RateLimited):
    """It is too early to ask this subject again, or to remind them."""

    hint = "Wait for retry_after seconds; asking sooner doesn't help."


class Unavailable(APIError):
    """The platform can't answer for now, still after the retries. This is an outage, never an outcome."""

    hint = "Try again later, or offer the scenario's fallback."


class CallbackInvalid(XinyiError):
    """The callback isn't the one that was asked for.

    ``state`` or ``iss`` differ, or ``code`` is missing. Don't act on it.
    """


class ConsentFailed(XinyiError):
    """The redirect came back with an error. ``code`` is OAuth's (RFC 6749 §4.1.2.1)."""

    def __init__(self, code: str, description: str | None = None) -> None:
        super().__init__(code, description)
        self.code: str = code
        self.description: str | None = description

    def __str__(self) -> str:
        return f"{self.code}: {self.description}" if self.description else self.code


class ConsentRefused(ConsentFailed):
    """The subject didn't agree. No reason is given; offer the scenario's fallback."""


class ConsentUnread(XinyiError):
    """The consent was given, but reading it failed: ``__cause__`` says why.

    Don't ask the subject again: keep ``consent_id`` and read it later with ``consents.get()``.
    """

    def __init__(self, consent_id: str) -> None:
        super().__init__(consent_id)
        self.consent_id: str = consent_id

    def __str__(self) -> str:
        return f"{self.consent_id} was given but couldn't be read: keep the id, and read it later with consents.get()"


class ProofInvalid(XinyiError):
    """Something that should prove a thing offline doesn't. ``reason`` is a word to branch on."""

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason: str = reason
        self.message: str = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


class ReceiptInvalid(ProofInvalid):
    """A receipt proves nothing.

    ``reason`` is one of ``form`` (not a receipt at all), ``key`` (signed with a key that isn't in the JWKS, or not
    valid then), ``signature``, ``issuer``, ``inclusion`` (the entry isn't in the signed tree), ``entry``, ``answer``
    (the answer isn't what was recorded) and ``reference``.
    """


class CopyInvalid(ProofInvalid):
    """The signed copy of a written consent proves nothing.

    ``reason`` is one of ``form``, ``key``, ``signature``, ``issuer`` and ``text``.
    """


class LogInvalid(ProofInvalid):
    """A checkpoint isn't the log's, or two don't belong to one history.

    ``reason`` is one of ``form``, ``key``, ``signature``, ``issuer``, ``log`` (two logs) and ``consistency`` (the
    later log doesn't begin with the earlier one: keep both checkpoints, they are the evidence).
    """


class WebhookInvalid(XinyiError):
    """A delivery isn't the platform's, or isn't new: answer it with 400 and do nothing.

    ``reason`` is one of ``headers``, ``timestamp`` (more than five minutes off), ``signature`` and ``body``.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(reason, message)
        self.reason: str = reason
        self.message: str = message

    def __str__(self) -> str:
        return f"{self.reason}: {self.message}"


_BY_CODE: Final[Mapping[str, type[APIError]]] = {
    "not_entitled": NotEntitled,
    "partner_suspended": PartnerSuspended,
    "scenario_mismatch": ScenarioMismatch,
    "consent_paused": ConsentPaused,
    "consent_withdrawn": ConsentWithdrawn,
    "consent_expired": ConsentExpired,
    "consent_consumed": ConsentConsumed,
    "consent_outdated": ConsentOutdated,
    "cooling_down": CoolingDown,
    "idempotency_key_reused": IdempotencyKeyReused,
    # RFC 6749 §5.2 and RFC 9449 §5 answer these with 400
    "invalid_client": AuthenticationError,
    "invalid_grant": AuthenticationError,
    "unauthorized_client": AuthenticationError,
    "invalid_dpop_proof": AuthenticationError,
    "use_dpop_nonce": AuthenticationError,
}
_BY_STATUS: Final[Mapping[int, type[APIError]]] = {
    401: AuthenticationError,
    403: PermissionDenied,
    404: NotFound,
    409: WrongState,
    429: RateLimited,
}


def codes_of(kind: type[Exception]) -> tuple[str, ...]:
    """The codes that come as exactly this class."""
    return tuple(code for code, each in _BY_CODE.items() if each is kind)


def error_class(code: str | None, status: int, source: object = None) -> type[APIError]:
    """The class for a code, or for the status when the code is new to this version of the SDK.

    ``source`` tells a consent that isn't there from a check that isn't.
    """
    if code == "not_found" and source == "/consent_id":
        return ConsentRequired
    if code is not None and code in _BY_CODE:
        return _BY_CODE[code]
    if status >= 500:
        return Unavailable
    return _BY_STATUS.get(status, InvalidRequest if 400 <= status < 500 else APIError)
