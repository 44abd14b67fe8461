"""What the document says beside the operations: title, tags, security schemes, common headers."""

from typing import Any, Final

from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, OAuthFlow, OAuthFlows, SecurityScheme, Server, Tag

from .. import __version__
from ..settings import DEFAULT_ISSUER
from ..web.middleware import INTERACTION_ID

_DESCRIPTION: Final = """\
Credit-incentive (信易+) scenarios. A partner asks whether the published criteria of one scenario are met by one subject
who agreed to it, and gets the smallest possible answer, with a receipt that verifies offline.

**Answers** are `{data, links?, meta?}`. **Errors** are problem documents (RFC 9457) with a stable `code`;
`/v1/metadata/error-codes` lists them all. The OAuth endpoints answer errors as RFC 6749 says.

**Access tokens** are bound to the caller's key: each request carries `Authorization: DPoP …` and, in `DPoP`, a fresh
proof (RFC 9449). **Times** are RFC 3339, UTC, in whole seconds. **Bodies** are read strictly: nothing is coerced, and a
member that isn't known is refused. **Exchanges** are named by `x-fapi-interaction-id`: the UUID that you send,
or one that is made; it comes back with every answer.
"""

_TAGS: Final = (
    Tag("Checks", "Whether one scenario's criteria are met by one subject who agreed."),
    Tag("Consents", "The subject's agreement to one scenario, as its partner sees it."),
    Tag("Events", "What happened to consents, by signed webhooks or for those who ask."),
    Tag("Scenarios", "The application list: criteria, disclosure, purpose, fallback. Public, but for dry runs."),
    Tag("Record types", "The data list: what may be recorded. Public."),
    Tag("Records", "What sources send."),
    Tag("Ledger", "The transparency log, and the keys that receipts verify with. Public."),
    Tag("Subject", "The subject's own view and control, in the portal's session."),
    Tag("Partner", "A client's own rights and keys, and what its partner used."),
    Tag("OAuth", "The authorization server: discovery, keys, pushed requests, tokens."),
    Tag("Metadata", "Closed lists with wording in Chinese and English. Public."),
    Tag("Operation", "The state of the process."),
)

_TOKEN_PATH: Final = "/oauth2/token"  # noqa: S105 (an address)
_SCOPES: Final = {
    "checks": "ask for checks",
    "consents": "see and give up consents",
    "records": "send records",
    "partner": "manage one's own registration",
}
_UNUSED: Final = (JsonRenderPlugin(),)
"""Litestar insists on serving the document; ours is served by ``pages``, from an application that is never run."""

INTERACTION_PARAMETER: Final[dict[str, Any]] = {
    "name": INTERACTION_ID,
    "in": "header",
    "required": False,
    "description": "A UUID that names this exchange in both parties' logs; echoed, or made when there is none.",
    "schema": {"type": "string", "format": "uuid", "examples": ["6ba7b814-9dad-41d1-80b4-00c04fd430c8"]},
}

HEADERS: Final[dict[str, dict[str, Any]]] = {
    "InteractionId": {
        "description": "The UUID of this exchange.",
        "schema": {"type": "string", "format": "uuid"},
    },
    "WwwAuthenticate": {
        "description": "How to authenticate (RFC 9449 §7.1), and where the resource's metadata is (RFC 9728 §5.1).",
        "schema": {
            "type": "string",
            "examples": [
                (
                    'DPoP algs="ES256 PS256 Ed25519 EdDSA", '
                    'resource_metadata="https://credit.example/.well-known/oauth-protected-resource", '
                    'error="invalid_token"'
                )
            ],
        },
    },
    "RateLimit": {
        "description": "Calls left in this window, and in how many seconds it ends; told once half are used.",
        "schema": {"type": "string", "examples": ['"checks";r=299999;t=42']},
    },
    "RateLimitPolicy": {
        "description": "What is counted, how many calls a window has, and its seconds; told with `RateLimit`.",
        "schema": {"type": "string", "examples": ['"checks";q=300000;w=60']},
    },
    "RetryAfter": {
        "description": "Seconds until another try makes sense.",
        "schema": {"type": "integer", "minimum": 0, "examples": [1]},
    },
}


def openapi_config() -> OpenAPIConfig:
    """Litestar's configuration of the document."""
    return OpenAPIConfig(
        title="xinyi",
        version=__version__,
        description=_DESCRIPTION,
        license=License(name="Apache-2.0", identifier="Apache-2.0"),
        servers=[Server(url=DEFAULT_ISSUER, description="A sandbox on this machine")],
        tags=list(_TAGS),
        use_handler_docstrings=True,
        render_plugins=_UNUSED,
        components=Components(
            security_schemes={
                "dpop": SecurityScheme(
                    type="oauth2",
                    description=(
                        "An access token bound to the client's key, sent as `Authorization: DPoP …` with a proof in "
                        "`DPoP` (RFC 9449). Clients authenticate with `private_key_jwt`. The authorization code flow "
                        "begins with a pushed request (RFC 9126) and gives a token for one consent."
                    ),
                    flows=OAuthFlows(
                        client_credentials=OAuthFlow(token_url=_TOKEN_PATH, scopes=_SCOPES),
                        authorization_code=OAuthFlow(
                            authorization_url="/oauth2/authorize",
                            token_url=_TOKEN_PATH,
                            scopes={"checks": _SCOPES["checks"]},
                        ),
                    ),
                ),
                "session": SecurityScheme(
                    type="apiKey",
                    name="xinyi_session",
                    security_scheme_in="cookie",
                    description=(
                        "The portal's session of a signed-in subject (`__Host-xinyi_session` over https). What changes "
                        "something needs `x-csrf-token` as well."
                    ),
                ),
            }
        ),
    )
