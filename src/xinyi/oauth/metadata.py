"""What this server can do: RFC 8414, and RFC 9728 for the API that it protects."""

from typing import Any, Final

from ..partners.service import PARTNER_SCOPES, SOURCE_SCOPES
from .authorization_details import TYPE, json_schema
from .jose import ALGORITHMS
from .token import GRANT_TYPES

AUTHORIZATION_SERVER: Final = "/.well-known/oauth-authorization-server"
PROTECTED_RESOURCE: Final = "/.well-known/oauth-protected-resource"
INTROSPECT: Final = "/oauth2/introspect"
REVOKE: Final = "/oauth2/revoke"
DETAILS: Final = "/oauth2/authorization-details-types"
DETAILS_SCHEMA: Final = f"{DETAILS}/{TYPE}"
AUTHORIZE: Final = "/oauth2/authorize"
JWKS: Final = "/oauth2/jwks"
PAR: Final = "/oauth2/par"
TOKEN: Final = "/oauth2/token"  # noqa: S105 (a path)

DOCUMENTATION: Final = "/docs"

_SCOPES: Final = sorted(PARTNER_SCOPES | SOURCE_SCOPES)


def authorization_server(issuer: str) -> dict[str, Any]:
    """RFC 8414 §2, RFC 9126 §5, RFC 9207 §3, RFC 9396 §10 and RFC 9449 §5.1."""
    return {
        "issuer": issuer,
        "authorization_endpoint": issuer + AUTHORIZE,
        "pushed_authorization_request_endpoint": issuer + PAR,
        "require_pushed_authorization_requests": True,
        "jwks_uri": issuer + JWKS,
        "scopes_supported": _SCOPES,
        "response_types_supported": ["code"],
        "response_modes_supported": ["query"],
        "grant_types_supported": list(GRANT_TYPES),
        **_endpoint(issuer, "token", TOKEN),
        **_endpoint(issuer, "introspection", INTROSPECT),
        **_endpoint(issuer, "revocation", REVOKE),
        "code_challenge_methods_supported": ["S256"],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "authorization_details_types_supported": [TYPE],
        "authorization_details_types_metadata_endpoint": issuer + DETAILS,
        "authorization_response_iss_parameter_supported": True,
        "ui_locales_supported": ["zh", "en"],
        "service_documentation": issuer + DOCUMENTATION,
    }


def _endpoint(issuer: str, name: str, path: str) -> dict[str, Any]:
    """An endpoint that authenticates its clients, and how."""
    return {
        f"{name}_endpoint": issuer + path,
        f"{name}_endpoint_auth_methods_supported": ["private_key_jwt"],
        f"{name}_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
    }


def protected_resource(issuer: str) -> dict[str, Any]:
    """RFC 9728 §2."""
    return {
        "resource": issuer,
        "authorization_servers": [issuer],
        "scopes_supported": _SCOPES,
        "bearer_methods_supported": [],
        "dpop_signing_alg_values_supported": list(ALGORITHMS),
        "dpop_bound_access_tokens_required": True,
        "authorization_details_types_supported": [TYPE],
        "resource_documentation": issuer + DOCUMENTATION,
    }


def details_types(issuer: str) -> dict[str, Any]:
    """What can be in ``authorization_details``, by type (draft-zehavi-oauth-rar-metadata)."""
    return {
        TYPE: {
            "version": "1",
            "description": "A consent to check one subject against one scenario: exactly one in a request.",
            "documentation_uri": issuer + DOCUMENTATION,
            "schema": details_schema(issuer),
            "examples": [{"type": TYPE, "scenario": "bike-deposit", "version": 1}],
        }
    }


def details_schema(issuer: str) -> dict[str, Any]:
    """The JSON Schema of the one type."""
    return json_schema(issuer + DETAILS_SCHEMA)
