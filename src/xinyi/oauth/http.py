"""The endpoints that programs call: metadata, keys, pushed requests, tokens."""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Annotated, Any, Final

from litestar import Controller, Request, Response, get, post
from litestar.di import NamedDependency
from litestar.exceptions import HTTPException
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from msgspec import Meta, Struct

from ..kernel.errors import XinyiError
from ..web.direct import Direct
from ..web.rates import noting
from . import metadata
from .access_token import TokenAnswer
from .client_auth import ASSERTION_TYPE
from .errors import ErrorBody, ErrorCode, OAuthError, on_http_exception, on_oauth_error, on_xinyi_error
from .forms import FORM_TYPE, MAX_BODY, read_form
from .inspection import IntrospectionAnswer
from .par import ARRIVE_WITHIN
from .service import OAuthService
from .token import GRANT_TYPES

_ERRORS: Final = {
    HTTPStatus.BAD_REQUEST.value: ResponseSpec(
        data_container=ErrorBody,
        description="A refusal (RFC 6749 §5.2). `invalid_client` tells nothing about which clients exist.",
        generate_examples=False,
        examples=[
            Example(
                id="invalid_client",
                value=ErrorBody(
                    ErrorCode.INVALID_CLIENT,
                    "the client is unknown, or the signature is not by a key registered for it",
                ),
            )
        ],
    ),
    HTTPStatus.TOO_MANY_REQUESTS.value: ResponseSpec(
        data_container=ErrorBody,
        description="The client asked too often: `Retry-After` tells when to come back.",
        generate_examples=False,
        examples=[
            Example(
                id="temporarily_unavailable",
                value=ErrorBody(
                    ErrorCode.TEMPORARILY_UNAVAILABLE, "rate_limited: this client may make 1200 tokens in 60 seconds"
                ),
            )
        ],
    ),
}
_SHOWN_ISSUER: Final = "https://credit.example"
_SHOWN_KEYS: Final = {
    "keys": [
        {
            "kty": "EC",
            "crv": "P-256",
            "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
            "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
            "kid": "oKIywvGUpTVTyxMQ3bwIIeQUudfr_CkLMjCE19ECD-U",
            "use": "sig",
            "alg": "ES256",
        }
    ]
}


def _shows(example: dict[str, Any]) -> dict[int, ResponseSpec]:
    """What a public document looks like, for the API's description."""
    shown = [Example(id="document", summary="The document", value=example)]
    return {HTTPStatus.OK.value: ResponseSpec(dict[str, Any], generate_examples=False, examples=shown)}


_PUBLIC: Final = {"cache-control": "public, max-age=300"}


def _text(description: str, *examples: str, **limits: Any) -> Schema:
    return Schema(type=OpenAPIType.STRING, description=description, examples=list(examples) or None, **limits)


_AUTHENTICATION: Final = {
    "client_assertion_type": _text("How the client authenticates (RFC 7523 §2.2).", enum=[ASSERTION_TYPE]),
    "client_assertion": _text(
        "A JWT signed by the client's key: `iss` and `sub` are its id, `aud` is the issuer, `exp` is at most five "
        "minutes ahead, `jti` is new.",
        "eyJhbGciOiJFUzI1NiIsImtpZCI6ImsxIn0.eyJpc3MiOiJjbGlfMDFrYjB4….MEQCIBx1…",
    ),
    "client_id": _text("The client's id: the assertion's `sub`.", "cli_…"),
}


def _form(required: list[str], **members: Schema) -> RequestBody:
    schema = Schema(
        type=OpenAPIType.OBJECT,
        required=["client_assertion_type", "client_assertion", *required],
        properties={**_AUTHENTICATION, **members},
    )
    return RequestBody(content={FORM_TYPE: OpenAPIMediaType(schema=schema)}, required=True)


@dataclass
class _PushOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = _form(
            ["response_type", "redirect_uri", "code_challenge", "code_challenge_method", "authorization_details"],
            response_type=_text("Always `code`.", enum=["code"]),
            redirect_uri=_text("One of the client's, to the letter.", "https://bank.example/back"),
            code_challenge=_text(
                "RFC 7636 §4.2.", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", pattern="^[A-Za-z0-9_-]{43}$"
            ),
            code_challenge_method=_text("Always `S256`.", enum=["S256"]),
            authorization_details=_text(
                "JSON (RFC 9396): a list of exactly one detail.",
                '[{"type":"credit_scenario_check","scenario":"bike-deposit"}]',
            ),
            state=_text("Given back with the answer.", "af0ifjsldkj"),
            scope=_text("`checks`, which is what a consent gives.", enum=["checks"]),
            dpop_jkt=_text(
                "The thumbprint of the key that will redeem the code (RFC 9449 §10).",
                "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs",
            ),
        )


@dataclass
class _TokenOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = _form(
            ["grant_type"],
            grant_type=_text("Which grant.", enum=list(GRANT_TYPES)),
            scope=_text("A part of what the client may ask for; all of it unless given.", "checks"),
            code=_text("The code, with `authorization_code`.", "SplxlOBeZQQYbYS6WxSbIA"),
            redirect_uri=_text(
                "The redirect URI of the pushed request, with `authorization_code`.", "https://bank.example/back"
            ),
            code_verifier=_text(
                "What the challenge was made of (RFC 7636 §4.1), with `authorization_code`.",
                "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            ),
            refresh_token=_text(
                "The refresh token, with `refresh_token`.", "hTxYc1mJ0eW9bZ3vQ8rK5sN2pL7uF4dG6aI1oE0wB3U"
            ),
        )


@dataclass
class _InspectOperation(Operation):
    def __post_init__(self) -> None:
        self.request_body = _form(
            ["token"],
            token=_text(
                "An access token or a refresh token.", "eyJhbGciOiJFUzI1NiIsInR5cCI6ImF0K2p3dCJ9.eyJ….MEQCIBx1…"
            ),
            token_type_hint=_text("Not needed, and not looked at.", "access_token"),
        )


class PushedAnswer(Struct, frozen=True):
    """RFC 9126 §2.2."""

    request_uri: Annotated[str, Meta(description="Send the subject to the authorization endpoint with it.")]
    expires_in: Annotated[int, Meta(description="In how many seconds it must arrive there.", examples=[90])]


class OAuthController(Controller):
    """The authorization server."""

    tags = ("OAuth",)
    exception_handlers = {  # noqa: RUF012 (Litestar's own form)
        OAuthError: on_oauth_error,
        XinyiError: on_xinyi_error,
        HTTPException: on_http_exception,
    }

    @get(
        metadata.AUTHORIZATION_SERVER,
        summary="Discover the authorization server",
        operation_id="getAuthorizationServerMetadata",
        responses=_shows(metadata.authorization_server(_SHOWN_ISSUER)),
        security=[{}],
        sync_to_thread=False,
    )
    def discover(self, oauth: NamedDependency[OAuthService]) -> Response[dict[str, Any]]:
        """The metadata of RFC 8414: endpoints, algorithms, and what is supported."""
        return Response(metadata.authorization_server(oauth.issuer), headers=_PUBLIC)

    @get(
        metadata.PROTECTED_RESOURCE,
        summary="Discover the protected resource",
        operation_id="getProtectedResourceMetadata",
        responses=_shows(metadata.protected_resource(_SHOWN_ISSUER)),
        security=[{}],
        sync_to_thread=False,
    )
    def discover_resource(self, oauth: NamedDependency[OAuthService]) -> Response[dict[str, Any]]:
        """The metadata of RFC 9728: which authorization server issues tokens for this API, and how to send them."""
        return Response(metadata.protected_resource(oauth.issuer), headers=_PUBLIC)

    @get(
        metadata.DETAILS,
        summary="Read what can be asked for",
        operation_id="getAuthorizationDetailsTypes",
        responses=_shows(metadata.details_types(_SHOWN_ISSUER)),
        security=[{}],
        sync_to_thread=False,
    )
    def details_types(self, oauth: NamedDependency[OAuthService]) -> Response[dict[str, Any]]:
        """The types of `authorization_details` (RFC 9396) with the JSON Schema of each. There is one."""
        return Response(metadata.details_types(oauth.issuer), headers=_PUBLIC)

    @get(
        metadata.DETAILS_SCHEMA,
        summary="Read the JSON Schema of what can be asked for",
        operation_id="getAuthorizationDetailsSchema",
        responses=_shows(metadata.details_schema(_SHOWN_ISSUER)),
        security=[{}],
        sync_to_thread=False,
    )
    def details_schema(self, oauth: NamedDependency[OAuthService]) -> Response[dict[str, Any]]:
        """The JSON Schema (draft 2020-12) of a `credit_scenario_check` in `authorization_details`."""
        return Response(metadata.details_schema(oauth.issuer), headers=_PUBLIC)

    @get(
        metadata.JWKS,
        summary="Read the token keys",
        operation_id="getTokenKeys",
        responses=_shows(_SHOWN_KEYS),
        security=[{}],
        sync_to_thread=False,
    )
    def jwks(self, oauth: NamedDependency[OAuthService]) -> Response[dict[str, Any]]:
        """The public keys that access tokens are signed with (RFC 7517 §5). Receipts are signed with others."""
        return Response(oauth.ring.public_jwks(), headers=_PUBLIC)

    @post(
        metadata.PAR,
        summary="Push an authorization request",
        operation_id="pushAuthorizationRequest",
        operation_class=_PushOperation,
        request_max_body_size=MAX_BODY,
        responses=_ERRORS,
        security=[{}],
        status_code=HTTPStatus.CREATED,
    )
    async def push(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> PushedAnswer:
        """Checks and stores an authorization request (RFC 9126), which then is named by its `request_uri`.

        A DPoP proof binds the code to its key.
        """
        request_uri = await oauth.push(
            await read_form(request),
            request.headers.getall("dpop", []),
            request.headers.get("authorization"),
            noting(request.scope),
        )
        return PushedAnswer(request_uri, int(ARRIVE_WITHIN.total_seconds()))

    @post(
        metadata.TOKEN,
        summary="Get an access token",
        operation_id="getToken",
        operation_class=_TokenOperation,
        middleware=(Direct,),
        request_max_body_size=MAX_BODY,
        responses=_ERRORS,
        security=[{}],
        status_code=HTTPStatus.OK,
    )
    async def token(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> TokenAnswer:
        """An access token for the client itself (`client_credentials`) or for one consent (`authorization_code`).

        A recurring consent also gives a refresh token, which is not rotated and lives as long as the consent.
        The access token lives five minutes and is bound to the key of the DPoP proof that comes with the request.
        """
        return await oauth.token(
            await read_form(request),
            request.headers.getall("dpop", []),
            request.headers.get("authorization"),
            noting(request.scope),
        )

    @post(
        metadata.INTROSPECT,
        summary="Introspect a token",
        operation_id="introspectToken",
        operation_class=_InspectOperation,
        request_max_body_size=MAX_BODY,
        responses=_ERRORS,
        security=[{}],
        status_code=HTTPStatus.OK,
    )
    async def introspect(
        self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]
    ) -> IntrospectionAnswer:
        """Whether a token works at this moment, and what it is for (RFC 7662).

        Only tokens of the caller's own partner or source are told about; every other one is `{"active": false}`, as is
        one that is over or revoked, whose client or owner may not act, or whose consent is paused or has ended.
        """
        return await oauth.introspect(
            await read_form(request), request.headers.get("authorization"), noting(request.scope)
        )

    @post(
        metadata.REVOKE,
        summary="Revoke a token",
        operation_id="revokeToken",
        operation_class=_InspectOperation,
        request_max_body_size=MAX_BODY,
        responses=_ERRORS,
        security=[{}],
        status_code=HTTPStatus.OK,
    )
    async def revoke(self, request: Request[Any, Any, Any], oauth: NamedDependency[OAuthService]) -> Response[None]:
        """Ends a token of the caller's at once (RFC 7009); with a refresh token, also the access tokens it gave.

        The answer is the same when there is nothing to end. The consent goes on: give it up to end it as well.
        """
        await oauth.revoke(await read_form(request), request.headers.get("authorization"), noting(request.scope))
        return Response(b"")  # type: ignore[arg-type]  # None would be written as JSON
