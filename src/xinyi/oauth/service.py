"""The authorization server, assembled: each part is one specification."""

from ..consents.service import ConsentService
from ..kernel.clock import Clock
from ..partners.model import Client
from ..partners.service import PartnerService
from ..scenarios.registry import Registry
from ..settings import Settings
from ..storage.cache import Cache
from ..storage.database import Database
from ..storage.keys import Keys
from ..storage.once import Uses
from ..subjects.service import SubjectService
from ..web.principal import Scope
from ..web.rates import Limit, Note, Rates
from ..web.session import Sessions
from .access_token import AccessTokens, TokenAnswer
from .client_auth import ClientAuthenticator
from .codes import Codes
from .dpop import ProofVerifier
from .errors import ErrorCode, OAuthError
from .inspection import IntrospectionAnswer, TokenInspector
from .jose import JwtProblem
from .metadata import PAR, TOKEN
from .nonces import NonceNeeded, Nonces
from .par import PushedRequests
from .refresh_tokens import RefreshTokens
from .sign_in import SandboxSignIn
from .token import TokenIssuer
from .upstream import UpstreamSignIn


class OAuthService:
    """What the endpoints, the pages and the middleware stand on."""

    def __init__(
        self,
        settings: Settings,
        keys: Keys,
        clock: Clock,
        cache: Cache,
        uses: Uses,
        database: Database,
        *,
        partners: PartnerService,
        consents: ConsentService,
        scenarios: Registry,
        subjects: SubjectService,
        sessions: Sessions,
        rates: Rates,
    ) -> None:
        self.rates = rates
        self._database = database
        self._partners = partners
        self.issuer = settings.issuer
        self.ring = keys.token
        self.sessions = sessions
        self.tokens = AccessTokens(settings.issuer, clock, cache, keys.token)
        self.nonces = Nonces(keys.opaque, clock) if settings.dpop_nonces else None
        self.proofs = ProofVerifier(settings.issuer, clock, uses, self.nonces)
        self.requests = PushedRequests(
            clock,
            cache,
            keys.opaque,
            database,
            consents=consents,
            partners=partners,
            scenarios=scenarios,
            subjects=subjects,
        )
        self.codes = Codes(cache, keys.opaque)
        self.sign_in: SandboxSignIn | UpstreamSignIn
        if settings.sign_in is not None:
            self.sign_in = UpstreamSignIn(
                settings.sign_in,
                settings.issuer,
                clock,
                cache,
                keys.opaque,
                database,
                subjects=subjects,
                sessions=sessions,
            )
        else:
            assert settings.is_sandbox, "the settings see to it"
            self.sign_in = SandboxSignIn(database, subjects, sessions)
        self._clients = ClientAuthenticator(settings.issuer, clock, uses, database, partners)
        refresh_tokens = RefreshTokens(database, clock, keys.opaque, self.tokens)
        self._issuer = TokenIssuer(database, self.tokens, self.codes, refresh_tokens, consents)
        self._inspector = TokenInspector(
            settings.issuer,
            clock,
            database,
            tokens=self.tokens,
            refresh_tokens=refresh_tokens,
            partners=partners,
            consents=consents,
        )

    async def push(self, form: dict[str, str], proofs: list[str], authorization: str | None, note: Note) -> str:
        """The pushed authorization request endpoint: gives the request_uri. Raises as :meth:`token`."""
        client = await self._client(form, authorization)
        await self._counted(Limit.PUSHES, client, note)
        jkt = await self._proved(proofs, PAR) if proofs else None
        return await self.requests.push(client, form, jkt)

    async def token(
        self, form: dict[str, str], proofs: list[str], authorization: str | None, note: Note
    ) -> TokenAnswer:
        """The token endpoint. Raises :class:`OAuthError`, and ``XinyiError``: RATE_LIMITED or UNAVAILABLE."""
        client = await self._client(form, authorization, suspended=_only_lets_go(form))
        await self._counted(Limit.TOKENS, client, note)
        jkt = await self._proved(proofs, TOKEN)
        return await self._issuer.answer(client, form, jkt)

    async def introspect(self, form: dict[str, str], authorization: str | None, note: Note) -> IntrospectionAnswer:
        """The introspection endpoint. Raises as :meth:`token`."""
        client = await self._client(form, authorization)
        await self._counted(Limit.CALLS, client, note)
        return await self._inspector.introspect(client, form)

    async def revoke(self, form: dict[str, str], authorization: str | None, note: Note) -> None:
        """The revocation endpoint. Raises as :meth:`token`."""
        client = await self._client(form, authorization)
        await self._counted(Limit.CALLS, client, note)
        await self._inspector.revoke(client, form)

    async def _client(self, form: dict[str, str], authorization: str | None, *, suspended: bool = False) -> Client:
        """The client that authenticates. ``suspended``: one whose owner is suspended will do."""
        client = await self._clients.authenticate(form, authorization)
        if not client.owner.active and not suspended:
            raise OAuthError(ErrorCode.UNAUTHORIZED_CLIENT, "the client's owner is suspended")
        return client

    async def require_standing(self, client_id: str) -> None:
        """Raises ``XinyiError``: NOT_ENTITLED when the client is disabled, PARTNER_SUSPENDED when its owner is."""
        async with self._database.read() as tx:
            await self._partners.require_standing(tx, client_id)

    async def _counted(self, limit: Limit, client: Client, note: Note) -> None:
        """Counted once the client has proven who it is: nobody uses up another's rate."""
        counted = self.rates.count(limit, client.id)
        try:
            await counted.settle(note)
        finally:
            counted.drop()

    async def _proved(self, proofs: list[str], path: str) -> str:
        if not proofs:
            raise OAuthError(ErrorCode.INVALID_REQUEST, "a DPoP proof is missing: tokens are bound to its key")
        try:
            return await self.proofs.verify(proofs, "POST", path)
        except NonceNeeded as problem:
            raise OAuthError(ErrorCode.USE_DPOP_NONCE, str(problem)) from None
        except JwtProblem as problem:
            raise OAuthError(ErrorCode.INVALID_DPOP_PROOF, str(problem)) from None


def _only_lets_go(form: dict[str, str]) -> bool:
    """Whether the token will do for a suspended partner: for all that it may still do, which is to give consents up.

    Every other operation asks for its standing again.
    """
    return form.get("grant_type") == "client_credentials" and form.get("scope") == Scope.CONSENTS.value
