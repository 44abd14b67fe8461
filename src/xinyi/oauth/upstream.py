"""Sign-in at an OpenID Connect provider that knows who people are (OpenID Connect Core 1.0, code flow with PKCE).

The provider is the operator's choice, and says with its claims which resident id signed in, and for a representative
which company they act for. Nothing of its tokens is kept: what a sign-in leaves is a session of ours.
"""

import asyncio
import hmac
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Final
from urllib.parse import urlsplit

import httpx2
import msgspec
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.httpx_client import AsyncOAuth2Client
from authlib.oauth2.rfc7523 import PrivateKeyJWT
from cryptography.exceptions import InvalidTag
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey
from litestar import Request, Response
from litestar.datastructures import Cookie
from msgspec import Struct

from ..kernel.canonical import b64url, unb64url
from ..kernel.clock import Clock
from ..kernel.errors import XinyiError
from ..kernel.text import Language, Text
from ..partners.keys import public_key, published_keys
from ..settings import SignIn
from ..storage.cache import Cache
from ..storage.database import Database
from ..storage.key_files import UnfitKeys
from ..storage.keys import Secret
from ..storage.opaque import keyed_hash
from ..storage.private import require_private
from ..storage.sealing import Seal
from ..subjects.model import Identifier, IdentifierProblem, IdentifierRefused, SubjectKind
from ..subjects.service import SubjectService
from ..web.body import decode_json
from ..web.mail import is_address
from ..web.outbound import trusted
from ..web.pages import page
from ..web.session import Sessions, SubjectSession, Upstream
from .jose import KEY_TYPES, JwtProblem, UnverifiedJwt, check_times, read_jwt

START: Final = "/sign-in/start"
BACK: Final = "/sign-in/back"
LOGOUT: Final = "/sign-in/back-channel-logout"
WITHIN: Final = timedelta(minutes=15)
"""How long somebody may take at the provider."""

_STATE: Final = "state"
_LOGOUT_TYPE: Final = "logout+jwt"
_LOGOUT_EVENT: Final = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_WITHIN: Final = timedelta(minutes=5)
"""How old a logout token may be."""
_EARLY: Final = 10.0
_KEPT: Final = timedelta(minutes=10)
_AGAIN: Final = timedelta(seconds=30)
_QUIET: Final = timedelta(seconds=5)
"""How long a provider that couldn't be reached isn't asked again."""
_TIMEOUT: Final = 10.0
_MAX_EMAIL: Final = 254
_MAX_NAME: Final = 80
_KINDS: Final[tuple[Any, ...]] = (ECKey, OKPKey, RSAKey)
_ALGORITHMS: Final = {"EC": "ES256", "RSA": "PS256", "OKP": "Ed25519"}


class SignInFailed(Exception):
    """Nobody is signed in. The texts are for the person; ``next_path`` is where they may try again."""

    def __init__(self, title: Text, note: Text, next_path: str | None = None) -> None:
        super().__init__(title.en)
        self.title = title
        self.note = note
        self.next_path = next_path


class LogoutRefused(Exception):
    """Nobody is signed out: the token isn't one to go by."""


class _Pending(Struct, frozen=True):
    """Somebody is at the provider. It is kept nowhere: strangers could fill whatever keeps it.

    Sealed, it is the state that comes back with them; what else the answer must match is made from that.
    """

    browser: str
    next_path: str
    kind: SubjectKind
    asked_at: datetime


class _Metadata(Struct, frozen=True):
    """What of the provider's metadata (OpenID Connect Discovery 1.0 §3) is used."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    token_endpoint_auth_methods_supported: tuple[str, ...] = ("client_secret_basic",)
    authorization_response_iss_parameter_supported: bool = False


class UpstreamSignIn:
    """Sends people to the provider, and takes them back."""

    def __init__(
        self,
        settings: SignIn,
        issuer: str,
        clock: Clock,
        cache: Cache,
        opaque: Secret,
        database: Database,
        *,
        subjects: SubjectService,
        sessions: Sessions,
    ) -> None:
        self._settings = settings
        self._redirect_uri = issuer + BACK
        self._clock = clock
        self._cache = cache
        self._opaque = opaque
        self._seal = Seal(opaque, "sign-in")
        self._database = database
        self._subjects = subjects
        self._sessions = sessions
        self._provider = _Provider(settings.issuer, clock)

    @cached_property
    def _credential(self) -> str | ECKey | OKPKey | RSAKey:
        return read_credential(self._settings)

    def show(
        self,
        request: Request[Any, Any, Any],
        _browser: str,
        *,
        next_path: str,
        kind: SubjectKind | None = None,
        refusal: dict[str, str] | None = None,
        form_targets: Sequence[str] = (),
    ) -> Response[Any]:
        """The page that leads to the provider. Takes what the sandbox's page takes."""
        kinds = [SubjectKind.NATURAL_PERSON, *([SubjectKind.LEGAL_PERSON] if self._settings.company_claim else [])]
        return page(
            request,
            "oauth/sign_in_upstream.html",
            form_targets=form_targets,
            start=START,
            kinds=[each for each in kinds if kind in {None, each}],
            provider=urlsplit(self._settings.issuer).hostname,
            next_path=next_path,
            refusal=refusal,
        )

    async def begin(self, browser: str, next_path: str, kind: SubjectKind, language: Language) -> str:
        """The address at the provider. Raises :class:`SignInFailed` when the provider can't be reached."""
        metadata = await self._provider.metadata()
        state = self._sealed(_Pending(browser, next_path, kind, self._clock.now()))
        async with self._client(metadata) as client:
            url, _ = client.create_authorization_url(
                metadata.authorization_endpoint,
                state=state,
                nonce=self._made("nonce", state),
                code_verifier=self._made("verifier", state),
                prompt="login",  # a shared machine's last user consents to nothing
                ui_locales="en" if language is Language.EN else "zh-CN zh",
            )
        return str(url)

    async def finish(self, browser: str | None, answer: Mapping[str, str]) -> tuple[SubjectSession, Cookie, str]:
        """The session of whoever the provider sent back, its cookie, and where to go on. Raises :class:`SignInFailed`.

        ``browser``: who comes back must be who went. ``answer``: the query's parameters.
        """
        state = answer.get("state", "")
        pending = self._opened(state)
        if pending is None or browser is None or not hmac.compare_digest(pending.browser.encode(), browser.encode()):
            raise SignInFailed(*_OVER)
        try:
            return *await self._session(pending, state, answer), pending.next_path
        except SignInFailed as failed:
            raise SignInFailed(failed.title, failed.note, pending.next_path) from None

    async def _session(self, pending: _Pending, state: str, answer: Mapping[str, str]) -> tuple[SubjectSession, Cookie]:
        metadata = await self._provider.metadata()
        expected = metadata.authorization_response_iss_parameter_supported
        if answer.get("iss", None if expected else metadata.issuer) != metadata.issuer:  # RFC 9207 §2.4
            raise SignInFailed(*_UNFIT)
        if "error" in answer or "code" not in answer:
            raise SignInFailed(*_NOT_DONE)
        try:
            claims = await self._claims(metadata, state, answer["code"])
        except (AuthlibBaseError, httpx2.HTTPError, msgspec.ValidationError, XinyiError, JwtProblem, _Unfit):
            raise SignInFailed(*_UNFIT) from None
        if not await self._cache.add(self._key(state), WITHIN):  # the provider's code works once; so does this
            raise SignInFailed(*_OVER)
        subject, representative = self._who(pending.kind, claims)
        wanted = [each for each in (subject, representative) if each is not None]
        async with self._database.transaction() as tx:
            ids = await self._subjects.ensure_many(tx, wanted)
            # A representative's address is their own: the company's mail, and its page, are other people's as well.
            await self._subjects.remember_email(tx, ids[subject], None if representative else _email(claims))
        return await self._sessions.create(
            subject_id=ids[subject],
            kind=subject.kind.value,
            display_name=self._display_name(claims, subject.kind),
            representative_id=None if representative is None else ids[representative],
            upstream=Upstream(self._names(claims), pending.asked_at),
        )

    async def log_out(self, logout_token: str) -> None:
        """Ends the sessions of whom the provider signs out (OpenID Connect Back-Channel Logout 1.0 §2.6).

        Of a token that names a person and one of their sessions there, all of the person's end. Raises
        :class:`LogoutRefused` for a token that isn't the provider's, isn't for us or for this, is old, or came before.
        """
        try:
            token = await self._signed(logout_token)
            self._check_logout(token)
            jti = token.text("jti")
        except (JwtProblem, _Unfit, SignInFailed, httpx2.HTTPError, XinyiError):
            raise LogoutRefused from None
        once = f"logout:{keyed_hash(self._opaque, 'logout', jti)}"
        if not await self._cache.add(once, _LOGOUT_WITHIN + timedelta(seconds=_EARLY)):
            raise LogoutRefused
        await self._sessions.sign_out(self._names(token.claims))

    def _check_logout(self, token: UnverifiedJwt) -> None:
        claims, events = token.claims, token.claims.get("events")
        if str(token.header.get("typ")).lower().removeprefix("application/") != _LOGOUT_TYPE or "nonce" in claims:
            raise _Unfit
        if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT_EVENT), dict):
            raise _Unfit
        named = [name for name in ("sub", "sid") if name in claims]
        if not named or not all(token.text(name, 255) for name in named):
            raise _Unfit
        self._check_recent(token, _LOGOUT_WITHIN)

    def _names(self, claims: Mapping[str, Any]) -> tuple[str, ...]:
        """What :meth:`Sessions.sign_out` knows the person and their session at the provider by."""
        return tuple(
            keyed_hash(self._opaque, f"upstream {name}", f"{self._settings.issuer}\0{value}")
            for name in ("sub", "sid")
            if isinstance(value := claims.get(name), str)
        )

    async def _claims(self, metadata: _Metadata, state: str, code: str) -> dict[str, Any]:
        """What the provider says of the person: the ID token's claims, and userinfo's when those aren't enough."""
        async with self._client(metadata) as client:
            token = await client.fetch_token(
                metadata.token_endpoint,
                grant_type="authorization_code",
                code=code,
                code_verifier=self._made("verifier", state),
            )
            claims = await self._checked(str(token.get("id_token")), self._made("nonce", state))
            wanted = {self._settings.identifier_claim, *filter(None, [self._settings.company_claim])}
            if metadata.userinfo_endpoint is None or wanted <= claims.keys():
                return claims
            more = await client.get(metadata.userinfo_endpoint)
            told = decode_json(more.raise_for_status().content, dict[str, Any])
            if told.get("sub") != claims["sub"]:  # OpenID Connect Core §5.3.2
                raise _Unfit
            return {**told, **claims}

    async def _checked(self, text: str, nonce: str) -> dict[str, Any]:
        """The claims of an ID token that is for us and for this sign-in (OpenID Connect Core §3.1.3.7)."""
        token = await self._signed(text)
        audience = token.claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and "azp" not in token.claims:
            raise _Unfit
        if token.claims.get("azp", self._settings.client_id) != self._settings.client_id:
            raise _Unfit
        if not hmac.compare_digest(token.text("nonce").encode(), nonce.encode()):
            raise _Unfit
        self._check_recent(token, WITHIN)
        token.text("sub", 255)
        return token.claims

    async def _signed(self, text: str) -> UnverifiedJwt:
        """A token of the provider's that is for us."""
        token = read_jwt(text)
        jwk = _key(await self._provider.keys(), token) or _key(await self._provider.keys(again=True), token)
        if jwk is None or not token.is_signed_by(public_key(jwk)):
            raise _Unfit
        audience = token.claims.get("aud")
        if self._settings.client_id not in (audience if isinstance(audience, list) else [audience]):
            raise _Unfit
        if token.claims.get("iss") != self._settings.issuer:
            raise _Unfit
        return token

    def _check_recent(self, token: UnverifiedJwt, within: timedelta) -> None:
        now = self._clock.now()
        issued = token.moment("iat")
        if token.moment("exp") is None or issued is None or issued < (now - within).timestamp():
            raise _Unfit
        check_times(token, now, early=_EARLY)

    def _who(self, kind: SubjectKind, claims: Mapping[str, Any]) -> tuple[Identifier, Identifier | None]:
        """The subject, and for a company who acts for it."""
        person = self._identifier(claims.get(self._settings.identifier_claim), SubjectKind.NATURAL_PERSON)
        if kind is SubjectKind.NATURAL_PERSON:
            return person, None
        company = claims.get(self._settings.company_claim or "")
        if not company:
            raise SignInFailed(*_NO_COMPANY)
        return self._identifier(company, SubjectKind.LEGAL_PERSON), person

    def _identifier(self, value: object, kind: SubjectKind) -> Identifier:
        try:
            if isinstance(value, str):
                return self._subjects.validate(value, kind)
        except IdentifierRefused as refused:
            if refused.problem is IdentifierProblem.UNDER_AGE:
                raise SignInFailed(*_UNDER_AGE) from None
        raise SignInFailed(*_UNKNOWN)

    def _display_name(self, claims: Mapping[str, Any], kind: SubjectKind) -> Text:
        name = _name(claims.get(self._settings.name_claim))
        if kind is SubjectKind.NATURAL_PERSON:
            return Text(name or "已登录用户", name or "the person signed in")
        company = _name(claims.get(self._settings.company_name_claim))
        shown = Text(company or "已登录企业", company or "the company signed in")
        return Text(f"{shown.zh}（由{name}代表）", f"{shown.en} (represented by {name})") if name else shown

    def _client(self, metadata: _Metadata) -> Any:
        settings = self._settings
        method = "private_key_jwt"
        if isinstance(self._credential, str):
            offered = metadata.token_endpoint_auth_methods_supported
            method = "client_secret_basic" if "client_secret_basic" in offered else "client_secret_post"
        client = AsyncOAuth2Client(
            settings.client_id,
            self._credential,
            token_endpoint_auth_method=method,
            scope=settings.scopes,
            redirect_uri=self._redirect_uri,
            code_challenge_method="S256",
            verify=trusted(),
            timeout=_TIMEOUT,
        )
        if not isinstance(self._credential, str):
            soon = {"exp": int(self._clock.now().timestamp()) + 60}
            header = {"kid": self._credential.thumbprint()}
            algorithm = _ALGORITHMS[self._credential.key_type]
            client.register_client_auth_method(PrivateKeyJWT(metadata.issuer, soon, header, algorithm))
        return client

    def _sealed(self, pending: _Pending) -> str:
        return b64url(self._seal.seal(msgspec.json.encode(pending), _STATE))

    def _opened(self, state: str) -> _Pending | None:
        """What a state holds, while there is time; ``None`` for what isn't one of ours."""
        try:
            pending = msgspec.json.decode(self._seal.open(unb64url(state), _STATE), type=_Pending)
        except (ValueError, LookupError, InvalidTag):
            return None
        return pending if self._clock.now() < pending.asked_at + WITHIN else None

    def _made(self, purpose: str, state: str) -> str:
        """A value that only this server can tell from the state: nothing of it is kept anywhere."""
        return keyed_hash(self._opaque, f"sign-in {purpose}", state)

    def _key(self, state: str) -> str:
        return f"sign-in:{keyed_hash(self._opaque, 'sign-in', state)}"


class _Unfit(Exception):
    """What the provider said can't be relied on."""


class _Provider:
    """What the provider publishes of itself, fetched when it is needed and kept for a while."""

    def __init__(self, issuer: str, clock: Clock) -> None:
        self._issuer = issuer
        self._clock = clock
        self._lock = asyncio.Lock()
        self._quiet_until = datetime.min.replace(tzinfo=UTC)
        self._metadata: tuple[_Metadata, datetime] | None = None
        self._keys: tuple[list[dict[str, Any]], datetime] | None = None

    async def metadata(self) -> _Metadata:
        """Raises :class:`SignInFailed` when it can't be had, or is another's."""
        async with self._lock:
            now = self._clock.now()
            if self._metadata is None or now >= self._metadata[1] + _KEPT:
                try:
                    body = await self._get(f"{self._issuer}/.well-known/openid-configuration")
                    found = decode_json(body, _Metadata)
                except (httpx2.HTTPError, XinyiError):
                    raise SignInFailed(*_AWAY) from None
                addresses = (found.authorization_endpoint, found.token_endpoint, found.jwks_uri)
                scheme = urlsplit(self._issuer).scheme
                if found.issuer != self._issuer or any(urlsplit(each).scheme != scheme for each in addresses):
                    raise SignInFailed(*_AWAY)
                self._metadata = found, now
            return self._metadata[0]

    async def keys(self, *, again: bool = False) -> list[dict[str, Any]]:
        """Its public keys; ``again``: fetched anew, unless that was a moment ago."""
        metadata = await self.metadata()
        async with self._lock:
            now = self._clock.now()
            if self._keys is None or now >= self._keys[1] + (_AGAIN if again else _KEPT):
                self._keys = published_keys(decode_json(await self._get(metadata.jwks_uri), Any)), now
            return self._keys[0]

    async def _get(self, url: str) -> bytes:
        """What is there; nobody asks again right after it couldn't be had, so that no queue of those who wait grows."""
        if self._clock.now() < self._quiet_until:
            raise httpx2.TransportError("it couldn't be had a moment ago")
        try:
            async with httpx2.AsyncClient(verify=trusted(), timeout=_TIMEOUT) as client:
                return (await client.get(url)).raise_for_status().content
        except httpx2.HTTPError:
            self._quiet_until = self._clock.now() + _QUIET
            raise


def _key(keys: Sequence[dict[str, Any]], token: UnverifiedJwt) -> dict[str, Any] | None:
    kid = token.header.get("kid")
    fit = [key for key in keys if key["kty"] == KEY_TYPES[token.algorithm] and kid in (None, key["kid"])]
    return fit[0] if len(fit) == 1 else None


def read_credential(settings: SignIn) -> str | ECKey | OKPKey | RSAKey:
    """The secret, or the private key. Raises ``UnfitKeys`` and ``PermissionError``."""
    path = settings.key_file or settings.secret_file
    assert path is not None, "the settings have one of them"
    try:
        require_private(path)
        text = path.read_text("utf-8").strip()
    except FileNotFoundError as error:
        raise UnfitKeys(f"{path} can't be read: it authenticates this server at the sign-in provider") from error
    if settings.key_file is None:
        return text
    for kind in _KINDS:
        with suppress(JoseError, ValueError, TypeError):
            key: ECKey | OKPKey | RSAKey = kind.import_key(text)
            if key.is_private:
                public_key(key.as_dict(private=False))
                return key
    raise UnfitKeys(f"{path} isn't the private key (PEM) of P-256, Ed25519 or RSA")


def _email(claims: Mapping[str, Any]) -> str | None:
    """The address, if the provider has verified it (OpenID Connect Core §5.1) and mail can be sent there."""
    email = claims.get("email")
    if claims.get("email_verified") is not True or not isinstance(email, str):
        return None
    fits = len(email) <= _MAX_EMAIL and email.count("@") == 1 and email.isprintable() and " " not in email
    return email if fits and is_address(email) else None


def _name(value: object) -> str | None:
    return value.strip()[:_MAX_NAME] or None if isinstance(value, str) else None


_OVER: Final = (
    Text("登录已过期", "This sign-in is over"),
    Text(
        "这次登录已过期、已完成，或是在另一个浏览器中开始的。请重新登录。",
        "This sign-in is out of date, was completed already, or was begun in another browser. Please sign in again.",
    ),
)
_NOT_DONE: Final = (
    Text("登录没有完成", "You aren't signed in"),
    Text(
        "您没有在身份认证服务完成登录。可以重新登录。", "You didn't sign in at the identity service. You may try again."
    ),
)
_UNFIT: Final = (
    Text("登录没有完成", "You aren't signed in"),
    Text(
        "身份认证服务的答复无法核实，因此没有登录。请稍后重试。",
        "What the identity service answered couldn't be verified, so you aren't signed in. Please try again later.",
    ),
)
_AWAY: Final = (
    Text("身份认证服务暂不可用", "The identity service is unavailable"),
    Text(
        "暂时无法连接身份认证服务。请稍后重试，或返回原页面，按其说明选择其他方式办理。",
        "The identity service can't be reached for now. Try again later, or go back to where you came from and take "
        "the other way that is offered there.",
    ),
)
_UNKNOWN: Final = (
    Text("无法确认您的身份", "We can't tell who you are"),
    Text(
        "身份认证服务没有提供本系统可用的身份号码。请在该服务完成实名认证后重试。",
        "The identity service gave no identifier that works here. Verify your identity there, then try again.",
    ),
)
_NO_COMPANY: Final = (
    Text("没有可代表的企业", "There is no company to act for"),
    Text(
        "您的账号没有关联企业。请在身份认证服务中以企业代表的身份登录。",
        "Your account acts for no company. Sign in at the identity service as a company's representative.",
    ),
)
_UNDER_AGE: Final = (
    Text("仅限年满十八周岁", "For people of 18 years and older"),
    Text(
        "本系统不处理未成年人的信用信息，因此没有登录，也没有保存任何内容。",
        "This system doesn't process information about minors, so you aren't signed in and nothing was kept.",
    ),
)
