"""The grants of the token endpoint (RFC 6749 §4.1.3, §4.4 and §6)."""

from ..consents.model import Consent, ConsentState
from ..consents.service import ConsentService
from ..kernel.errors import XinyiError
from ..partners.model import Client
from ..storage.database import Database
from ..web.principal import Scope
from .access_token import AccessTokens, TokenAnswer, token_answer
from .authorization_details import granted, refuse
from .codes import Codes
from .errors import ErrorCode, OAuthError
from .forms import required
from .pkce import is_answered
from .refresh_tokens import RefreshTokens

CODE_SCOPES = frozenset({Scope.CHECKS})
GRANT_TYPES = ("authorization_code", "client_credentials", "refresh_token")


class TokenIssuer:
    """Answers an authenticated client that proved a key."""

    def __init__(
        self,
        database: Database,
        tokens: AccessTokens,
        codes: Codes,
        refresh_tokens: RefreshTokens,
        consents: ConsentService,
    ) -> None:
        self._database = database
        self._tokens = tokens
        self._codes = codes
        self._refresh_tokens = refresh_tokens
        self._consents = consents

    async def answer(self, client: Client, form: dict[str, str], jkt: str) -> TokenAnswer:
        """The token that ``form`` asks for, bound to the key ``jkt``. Raises :class:`OAuthError`."""
        match required(form, "grant_type"):
            case "authorization_code":
                return await self._by_code(client, form, jkt)
            case "client_credentials":
                return self._by_credentials(client, form, jkt)
            case "refresh_token":
                return await self._by_refresh_token(client, form, jkt)
            case _:
                raise OAuthError(ErrorCode.UNSUPPORTED_GRANT_TYPE, f"grant_type must be one of {' '.join(GRANT_TYPES)}")

    def _by_credentials(self, client: Client, form: dict[str, str], jkt: str) -> TokenAnswer:
        if "authorization_details" in form:
            raise refuse("a check is consented to through the authorization endpoint")
        scopes = _narrowed(form, client.scopes)
        return token_answer(self._tokens.issue(client, scopes, jkt), scopes)

    async def _by_code(self, client: Client, form: dict[str, str], jkt: str) -> TokenAnswer:
        code = required(form, "code")
        scopes = _of_consent(form)
        grant = await self._codes.take(code)
        if grant is None:
            # A code that comes twice may be in the wrong hands: what it gave is over (RFC 6749 §4.1.2).
            await self._refresh_tokens.revoke_families(self._codes.families(code))
        if grant is None or grant.client_id != client.id:
            raise _refuse("the code is unknown, used, expired or another client's")
        # From here on the code is spent: a verifier that is missing is no more a reason to try again than a wrong one.
        if grant.redirect_uri != required(form, "redirect_uri"):
            raise _refuse("redirect_uri is not the one of the request")
        if not is_answered(grant.code_challenge, required(form, "code_verifier")):
            raise _refuse("code_verifier doesn't answer the code_challenge")
        if grant.dpop_jkt not in {None, jkt}:
            raise _refuse("the DPoP proof is by another key than the one that the code is bound to")
        consent = await self._in_force(grant.consent_id)
        family = self._codes.family(code)
        refresh_token = None
        if not consent.once:
            refresh_token = await self._refresh_tokens.issue(client_id=client.id, consent_id=consent.id, family=family)
        return self._answer(client, scopes, jkt, consent, family, refresh_token)

    async def _by_refresh_token(self, client: Client, form: dict[str, str], jkt: str) -> TokenAnswer:
        token = required(form, "refresh_token")
        scopes = _of_consent(form)
        found = await self._refresh_tokens.find(token)
        if found is None or found.client_id != client.id:
            raise _refuse("the refresh token is unknown, revoked or another client's")
        return self._answer(client, scopes, jkt, await self._in_force(found.consent_id), found.family)

    def _answer(
        self,
        client: Client,
        scopes: frozenset[Scope],
        jkt: str,
        consent: Consent,
        family: str,
        refresh_token: str | None = None,
    ) -> TokenAnswer:
        detail = granted(consent)
        token = self._tokens.issue(
            client, scopes, jkt, subject=self._consents.pairwise(consent), detail=detail, family=family
        )
        return token_answer(token, scopes, detail, refresh_token)

    async def _in_force(self, consent_id: str) -> Consent:
        try:
            async with self._database.read() as tx:
                consent = await self._consents.find(tx, consent_id)
        except XinyiError as error:
            raise _refuse("the consent is gone") from error
        state = self._consents.state(consent)
        if state is not ConsentState.AUTHORISED:
            raise _refuse(f"the consent isn't in force: it is {state.value}")
        return consent


def _of_consent(form: dict[str, str]) -> frozenset[Scope]:
    """The scopes of a token that comes from a consent: neither they nor the details get wider."""
    if "authorization_details" in form:
        raise refuse("what was consented to can't be changed")
    return _narrowed(form, CODE_SCOPES)


def _narrowed(form: dict[str, str], allowed: frozenset[Scope]) -> frozenset[Scope]:
    """The scopes that were asked for; all that are allowed unless some were named."""
    asked = form.get("scope")
    if asked is None:
        return allowed
    wanted = set(asked.split(" "))
    if not wanted <= {scope.value for scope in allowed}:
        raise OAuthError(ErrorCode.INVALID_SCOPE, f"the scope can be {' '.join(sorted(allowed))} or a part of it")
    return frozenset(map(Scope, wanted))


def _refuse(description: str) -> OAuthError:
    return OAuthError(ErrorCode.INVALID_GRANT, description)
