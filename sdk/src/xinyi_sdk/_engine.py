"""The one engine of both clients: discovery, tokens, proofs, retries. It does no I/O (see ``_flow``)."""

import secrets
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, field, replace
from random import random as system_random
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import msgspec
from msgspec import Struct

from ._encoding import form
from ._flow import Flow, Request, Response, alone, alone_or_skip, pause, send
from ._keys import PrivateKey, SigningKey
from ._problems import REQUEST_ID, problem_of, read, succeeded
from ._retry import RETRIED_STATUSES, http_date, retry_after, wait_before
from ._tokens import ASSERTION_TYPE, Token, TokenCache, client_assertion, dpop_proof
from .errors import ConfigurationError, ConnectionFailed, InvalidResponse, Unavailable
from .observe import Observer, RequestFailed, RequestSent, ResponseReceived, RetryPlanned, tell, watched
from .receipts import LedgerKeys

DATE_TOLERANCE: Final = 2.0
"""Seconds: a ``Date`` header is whole seconds and a network trip old, so a smaller difference says nothing."""
LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


class Metadata(Struct, frozen=True):
    """Authorization server metadata (RFC 8414 §2), as far as it is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    pushed_authorization_request_endpoint: str


class TokenResponse(Struct, frozen=True):
    """RFC 6749 §5.1, with RFC 9396 §7."""

    access_token: str
    token_type: str
    expires_in: float
    authorization_details: list[dict[str, Any]] = []

    def __repr__(self) -> str:
        return f"TokenResponse({self.token_type}, expires_in={self.expires_in})"


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that isn't made here."""

    content: bytes = field(repr=False)
    media_type: str


@dataclass(frozen=True, slots=True)
class Config:
    """What a client was built with."""

    issuer: str
    client_id: str
    private_key: PrivateKey = field(repr=False)
    scopes: Sequence[str] | None
    max_retries: int
    user_agent: str
    on_event: Observer | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """Where time and chance come from; tests bring their own."""

    wall: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    random: Callable[[], float] = system_random


@dataclass(slots=True)
class Learned:
    """What a client has learned from the platform. Kept whole by whoever writes it, so threads need no lock."""

    metadata: Metadata | None = None
    nonces: dict[str, str] = field(default_factory=dict)
    offset: float = 0.0
    """Seconds that the platform's clock is ahead of this machine's."""


class Engine:
    """What all calls of one client share. Threads and tasks may: what is written is written whole."""

    def __init__(self, config: Config, sources: Sources | None = None) -> None:
        self.config: Config = config
        self.sources: Sources = sources or Sources()
        self.key: SigningKey = SigningKey.generate()
        """The client's DPoP key: new with each client, never the registered one."""
        self.tokens: TokenCache = TokenCache()
        self.ledger_keys: LedgerKeys = LedgerKeys(config.issuer)
        self._learned = Learned()
        SigningKey.load(config.private_key)  # so that an unusable key fails here and not at the first call

    def with_config(self, **changes: Any) -> "Engine":
        """An engine that shares everything with this one but for some of its configuration."""
        other = copy(self)
        other.config = replace(self.config, **changes)
        return other

    def now(self) -> float:
        """The platform's time, as far as its ``Date`` headers told it."""
        return self.sources.wall() + self._learned.offset

    # Calls of the API

    def call(
        self,
        method: str,
        path: str,
        *,
        body: object = None,
        upload: Upload | None = None,
        query: Mapping[str, str | Sequence[str]] | None = None,
        idempotency_key: str | None = None,
        consent_id: str | None = None,
        public: bool = False,
        once: bool = False,
    ) -> Flow[Response]:
        """One call of the API with everything it needs; returns a success or raises.

        ``body`` is sent as JSON, an ``upload`` as it is; ``consent_id`` lets the consent's own token be used, if one is
        held; ``public`` calls without a token; ``once`` tries once.
        """
        url = self.config.issuer + path + (f"?{urlencode(query, doseq=True)}" if query else "")
        headers = self._headers("application/json, application/problem+json")
        content = None
        if body is not None:
            content = msgspec.json.encode(body)
            headers["content-type"] = "application/json"
        if upload is not None:
            content, headers["content-type"] = upload.content, upload.media_type
        if method == "POST":  # made once, so that all tries are one request to the platform
            headers["idempotency-key"] = idempotency_key or str(uuid.uuid4())

        def attempt(token: Token | None) -> Flow[Response]:
            if token is None:
                return (yield from self._send(Request(method, url, headers, content)))
            return (yield from self._send_proved(token.key, method, url, headers, lambda: content, token))

        retries = 0 if once else self.config.max_retries
        response = yield from self._persist(attempt, None if public else lambda: self._token(consent_id), retries)
        return succeeded(response, self.now())

    def _persist(
        self,
        attempt: Callable[[Token | None], Flow[Response]],
        authorise: Callable[[], Flow[Token]] | None = None,
        retries: int | None = None,
    ) -> Flow[Response]:
        """Tries until a response is worth returning: fresh proofs, and one forced renewal of the token on 401."""
        number, renewed = 0, False
        retries = self.config.max_retries if retries is None else retries
        while True:
            token = (yield from authorise()) if authorise else None
            try:
                response = yield from attempt(token)
            except ConnectionFailed:
                if number >= retries:
                    raise
                asked = None
            else:
                if response.status == 401 and token is not None and not renewed:
                    renewed = True
                    self.tokens.drop(token)
                    continue
                if response.status not in RETRIED_STATUSES or number >= retries:
                    return response
                asked = retry_after(response.headers, self.now())
            wait = wait_before(number, asked, self.sources.random)
            if wait is None:
                return response
            number += 1
            tell(self.config.on_event, RetryPlanned(number=number, seconds=wait))
            yield from pause(wait)

    # Tokens

    def _token(self, consent_id: str | None = None) -> Flow[Token]:
        """A token that is good now: the consent's own, if held, else the client's. Fetched by one caller at a time."""
        now = self.sources.monotonic()
        bound = self.tokens.of_consent(consent_id, now)
        if bound is not None:
            return bound
        own = self.tokens.own
        if own is not None and now < own.refresh_at:
            return own
        if own is not None and now < own.expires_at:
            try:  # early: one caller renews, the others go on with the one at hand; so does everybody in an outage
                renewed = yield from alone_or_skip("token", self._fetch_token())
            except (ConnectionFailed, Unavailable):
                renewed = None
            return renewed or own
        return (yield from alone("token", self._fetch_token()))

    def _fetch_token(self) -> Flow[Token]:
        own = self.tokens.own
        if own is not None and self.sources.monotonic() < own.refresh_at:
            return own  # another caller was faster
        members = {"grant_type": "client_credentials"}
        if self.config.scopes is not None:
            members["scope"] = " ".join(self.config.scopes)
        token, _ = yield from self.grant(members, self.key)
        self.tokens.own = token
        return token

    def grant(
        self, members: Mapping[str, str], key: SigningKey, *, once: bool = False
    ) -> Flow[tuple[Token, TokenResponse]]:
        """Obtains a token (RFC 6749 §3.2). With ``once``, a try that got no clear answer isn't repeated."""
        metadata = yield from self.metadata()

        def attempt(_: Token | None) -> Flow[Response]:
            return self._send_authenticated(metadata, metadata.token_endpoint, members, key)

        response = yield from (attempt(None) if once else self._persist(attempt))
        issued = read(succeeded(response, self.now()), TokenResponse)
        if issued.token_type.lower() != "dpop":
            raise InvalidResponse("the platform issued a token that isn't bound to a key (RFC 9449 §5)")
        token = Token.issued(issued.access_token, key, issued.expires_in, self.sources.monotonic(), self.sources.random)
        return token, issued

    def push(self, members: Mapping[str, str], key: SigningKey) -> Flow[Response]:
        """Pushes an authorization request (RFC 9126 §2)."""
        metadata = yield from self.metadata()

        def attempt(_: Token | None) -> Flow[Response]:
            return self._send_authenticated(metadata, metadata.pushed_authorization_request_endpoint, members, key)

        return succeeded((yield from self._persist(attempt)), self.now())

    def _send_authenticated(
        self, metadata: Metadata, url: str, members: Mapping[str, str], key: SigningKey
    ) -> Flow[Response]:
        """One try with a fresh client assertion and a fresh proof."""

        def body() -> bytes:
            client = self.config.client_id
            assertion = client_assertion(SigningKey.load(self.config.private_key), client, metadata.issuer, self.now())
            return form(
                {**members, "client_id": client, "client_assertion_type": ASSERTION_TYPE, "client_assertion": assertion}
            )

        headers = {**self._headers("application/json"), "content-type": "application/x-www-form-urlencoded"}
        return self._send_proved(key, "POST", url, headers, body)

    # Discovery

    def metadata(self) -> Flow[Metadata]:
        """The authorization server's metadata, fetched once."""
        return self._learned.metadata or (yield from alone("metadata", self._fetch_metadata()))

    def _fetch_metadata(self) -> Flow[Metadata]:
        if self._learned.metadata is not None:
            return self._learned.metadata
        issuer = urlsplit(self.config.issuer)  # RFC 8414 §3.1: the well-known part goes before the issuer's path
        url = issuer._replace(path="/.well-known/oauth-authorization-server" + issuer.path).geturl()
        request = Request("GET", url, self._headers("application/json"))
        response = yield from self._persist(lambda _: self._send(request))
        metadata = read(succeeded(response, self.now()), Metadata)
        if metadata.issuer != self.config.issuer:  # RFC 8414 §3.3: else one server could pass for another
            raise InvalidResponse(f"{self.config.issuer} calls itself {metadata.issuer}: is base_url right?")
        self._learned.metadata = metadata
        return metadata

    # Sending

    def _headers(self, accept: str) -> dict[str, str]:
        return {"accept": accept, "user-agent": self.config.user_agent, REQUEST_ID: str(uuid.uuid4())}

    def _send_proved(
        self,
        key: SigningKey,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: Callable[[], bytes | None],
        token: Token | None = None,
    ) -> Flow[Response]:
        """One try with a fresh proof, and once more when the platform wants its nonce in it (RFC 9449 §8, §9).

        Proofs, tokens and bodies are made where the request is, so that no traceback's locals show them.
        """
        audience = "token" if token is None else "resource"
        for last in (False, True):
            known = self._learned.nonces.get(audience)
            proved = {"dpop": dpop_proof(key, method, url, self.now(), token=token, nonce=known)}
            request = Request(method, url, {**headers, **proved, **_authorization(token)}, body(), token is None)
            response = yield from self._send(request)
            nonce = response.headers.get("dpop-nonce")
            if nonce is not None:
                self._learned.nonces[audience] = nonce
            if last or nonce is None or not _wants_nonce(response):
                break
        return response

    def _send(self, request: Request) -> Flow[Response]:
        watching = watched(self.config.on_event)
        response = yield from (self._send_told(request) if watching else send(request))
        date = http_date(response.headers.get("date"))
        # a cached response, which has an age, tells the time of its making
        if date is not None and "age" not in response.headers and abs(date - self.now()) > DATE_TOLERANCE:
            self._learned.offset = date - self.sources.wall()
        return response

    def _send_told(self, request: Request) -> Flow[Response]:
        """As :func:`send`, telling whoever watches."""
        observer, begun = self.config.on_event, self.sources.monotonic()
        about = {"method": request.method, "url": request.url, "request_id": request.headers[REQUEST_ID]}
        tell(observer, RequestSent(**about))
        try:
            response = yield from send(request)
        except ConnectionFailed as error:
            seconds = self.sources.monotonic() - begun
            tell(observer, RequestFailed(**about, seconds=seconds, error=str(error)))
            raise
        seconds = self.sources.monotonic() - begun
        shown = b"" if request.obtains else response.body
        received = ResponseReceived(
            **about, status=response.status, seconds=seconds, headers=response.headers, body=shown
        )
        tell(observer, received)
        return response


def _authorization(token: Token | None) -> dict[str, str]:
    return {} if token is None else {"authorization": f"DPoP {token.value}"}


def _wants_nonce(response: Response) -> bool:
    if response.status not in (400, 401):
        return False
    problem = problem_of(response)
    return "use_dpop_nonce" in (problem.get("error"), problem.get("code")) or "use_dpop_nonce" in response.headers.get(
        "www-authenticate", ""
    )


def secure_origin(base_url: str) -> str:
    """``base_url`` as an issuer: https (or http to this machine), no trailing slash. Raises ``ConfigurationError``."""
    parts = urlsplit(base_url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment or parts.username:
        raise ConfigurationError("base_url must be the platform's address, such as https://xinyi.example")
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        raise ConfigurationError("base_url must be https, except on this machine")
    return base_url.rstrip("/")


def random_text() -> str:
    """256 bits for a state or a code verifier (43 characters, RFC 7636 §4.1)."""
    return secrets.token_urlsafe(32)
