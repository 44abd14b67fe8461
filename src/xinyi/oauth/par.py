"""Pushed authorization requests (RFC 9126), and the flow that each begins.

A request_uri has 90 seconds to arrive at the authorization endpoint. The browser that brings it first keeps it, and has
30 minutes to come to a decision; the decision spends it.
"""

import re
from datetime import datetime, timedelta
from typing import Final

import msgspec
from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..consents.service import ConsentService
from ..kernel.clock import Clock
from ..kernel.errors import Code, XinyiError
from ..partners.model import Client, SubParty
from ..partners.service import PartnerService
from ..scenarios.model import Scenario
from ..scenarios.registry import Registry
from ..storage.cache import Cache
from ..storage.database import Database
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash, new_opaque
from ..subjects.model import SubjectKind
from ..subjects.service import SubjectService
from ..web.principal import Scope
from .authorization_details import NamedSubject, RequestedDetail, parse_details, refuse
from .errors import ErrorCode, OAuthError
from .forms import required
from .pkce import check_challenge

ARRIVE_WITHIN: Final = timedelta(seconds=90)
DECIDE_WITHIN: Final = timedelta(minutes=30)
PREFIX: Final = "urn:ietf:params:oauth:request_uri:"
MAX_STATE: Final = 4096

_VISIBLE: Final = re.compile(r"[\x20-\x7e]*")
_THUMBPRINT: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class PushedRequest(Struct, frozen=True):
    """An authorization request that was checked when it was pushed."""

    client_id: str
    redirect_uri: str
    state: str | None
    code_challenge: str
    dpop_jkt: str | None
    consent_id: str
    scenario_id: str
    scenario_version: int
    subject_kind: SubjectKind
    pushed_at: datetime


class PushedRequests:
    """Checks authorization requests and keeps them until they are decided."""

    def __init__(
        self,
        clock: Clock,
        cache: Cache,
        opaque: Secret,
        database: Database,
        *,
        consents: ConsentService,
        partners: PartnerService,
        scenarios: Registry,
        subjects: SubjectService,
    ) -> None:
        self._clock = clock
        self._cache = cache
        self._opaque = opaque
        self._database = database
        self._consents = consents
        self._partners = partners
        self._scenarios = scenarios
        self._subjects = subjects

    async def push(self, client: Client, form: dict[str, str], jkt: str | None) -> str:
        """Checks the request in ``form``, asks for the consent, and gives the request_uri.

        ``jkt``: the thumbprint of the key that proved itself with the request, if one did. Raises :class:`OAuthError`.
        """
        if client.partner is None:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "only partners ask for consents")
        if "request_uri" in form:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "a pushed request can't hold a request_uri")
        if "request" in form:
            raise OAuthError(ErrorCode.REQUEST_NOT_SUPPORTED, "request objects aren't supported")
        redirect_uri = _redirect_uri(client, form)
        _check_response(form)
        challenge = check_challenge(form)
        _check_scope(form)
        state = _state(form)
        bound = _dpop_jkt(form, jkt)
        detail = parse_details(required(form, "authorization_details"))
        scenario = self._scenario(client, detail)
        named = None if detail.subject is None else self._named(detail.subject, scenario)
        async with self._database.transaction() as tx:
            sub_party = await self._sub_party(tx, client.partner.id, detail)
            consent = await self._consents.request(tx, client, scenario, named, sub_party)
        pushed = PushedRequest(
            client_id=client.id,
            redirect_uri=redirect_uri,
            state=state,
            code_challenge=challenge,
            dpop_jkt=bound,
            consent_id=consent.id,
            scenario_id=scenario.id,
            scenario_version=scenario.version,
            subject_kind=scenario.subject_kind,
            pushed_at=self._clock.now(),
        )
        request_uri = PREFIX + new_opaque()
        await self._cache.put(
            self._key("request", request_uri), ARRIVE_WITHIN + DECIDE_WITHIN, msgspec.json.encode(pushed)
        )
        return request_uri

    async def find(self, request_uri: str, client_id: str, browser: str) -> PushedRequest | None:
        """The request, when it is this client's and this browser's, still undecided and in time.

        The browser that asks first is the one it belongs to from then on.
        """
        found = await self._cache.get(self._key("request", request_uri))
        if found is None:
            return None
        pushed = msgspec.json.decode(found, type=PushedRequest)
        if pushed.client_id != client_id:
            return None
        arrival = self._key("arrival", request_uri)
        in_time = self._clock.now() < pushed.pushed_at + ARRIVE_WITHIN
        if in_time and await self._cache.add(arrival, DECIDE_WITHIN, browser.encode()):
            return pushed
        return pushed if await self._cache.get(arrival) == browser.encode() else None

    async def spend(self, request_uri: str) -> bool:
        """Whether the caller is the one who decides: true once, whoever else tries."""
        return await self._cache.take(self._key("request", request_uri)) is not None

    def purpose(self, request_uri: str) -> str:
        """Names the flow in the tokens that guard its forms."""
        return self._key("authorize", request_uri)

    def _key(self, kind: str, request_uri: str) -> str:
        return f"{kind}:{keyed_hash(self._opaque, 'request_uri', request_uri)}"

    def _scenario(self, client: Client, detail: RequestedDetail) -> Scenario:
        """The scenario, if it is one of the client's: those of others are told apart from none by nothing."""
        try:
            if detail.scenario not in client.scenarios:
                raise XinyiError(Code.NOT_ENTITLED)
            if detail.version is None:
                return self._scenarios.get(detail.scenario)
            scenario = self._scenarios.version(detail.scenario, detail.version)
            if self._scenarios.is_outdated(scenario):
                raise XinyiError(Code.CONSENT_OUTDATED)
        except XinyiError:
            raise refuse("this client has no such scenario, or the version isn't in use") from None
        return scenario

    async def _sub_party(self, tx: AsyncConnection, partner_id: str, detail: RequestedDetail) -> SubParty | None:
        try:
            return await self._partners.acting_sub_party(tx, partner_id, detail.sub_party)
        except XinyiError as error:
            raise refuse(error.detail or "there is no such sub-party") from None

    def _named(self, subject: NamedSubject, scenario: Scenario) -> str:
        try:
            identifier = self._subjects.parse(subject.identifier, subject.kind or scenario.subject_kind)
        except XinyiError as error:
            raise refuse(error.detail or "the subject's identifier isn't valid") from None
        if identifier.kind != scenario.subject_kind:
            raise refuse(f"the scenario is for a {scenario.subject_kind.value}")
        return self._subjects.key_of(identifier)


def _redirect_uri(client: Client, form: dict[str, str]) -> str:
    redirect_uri = required(form, "redirect_uri")
    if redirect_uri not in client.redirect_uris:
        raise OAuthError(ErrorCode.INVALID_REQUEST, "redirect_uri is not one that is registered, to the letter")
    return redirect_uri


def _check_response(form: dict[str, str]) -> None:
    if required(form, "response_type") != "code":
        raise OAuthError(ErrorCode.UNSUPPORTED_RESPONSE_TYPE, "response_type must be code")
    if form.get("response_mode", "query") != "query":
        raise OAuthError(ErrorCode.INVALID_REQUEST, "response_mode must be query")


def _check_scope(form: dict[str, str]) -> None:
    if not set(form.get("scope", Scope.CHECKS.value).split()) <= {Scope.CHECKS.value}:
        raise OAuthError(ErrorCode.INVALID_SCOPE, "a subject's consent gives the scope checks and no other")


def _state(form: dict[str, str]) -> str | None:
    state = form.get("state")
    if state is not None and (len(state) > MAX_STATE or not _VISIBLE.fullmatch(state)):
        raise OAuthError(ErrorCode.INVALID_REQUEST, f"state is at most {MAX_STATE} visible ASCII characters")
    return state


def _dpop_jkt(form: dict[str, str], jkt: str | None) -> str | None:
    """The key that the code will be bound to (RFC 9449 §10)."""
    asked = form.get("dpop_jkt")
    if asked is not None and not _THUMBPRINT.fullmatch(asked):
        raise OAuthError(ErrorCode.INVALID_REQUEST, "dpop_jkt is not a SHA-256 thumbprint")
    if asked is not None and jkt is not None and asked != jkt:
        raise OAuthError(ErrorCode.INVALID_DPOP_PROOF, "dpop_jkt is not the key of the DPoP proof")
    return asked or jkt
