"""How the OpenAPI document is made: from the code, with Litestar's generator."""

from typing import Final

import msgspec
import yaml
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin, YamlRenderPlugin
from litestar.openapi.spec import Components, License, OAuthFlow, OAuthFlows, SecurityScheme, Server, Tag

from . import __version__
from .settings import DEFAULT_ISSUER

_DESCRIPTION: Final = """\
Credit-incentive (信易+) scenario API. A partner asks whether the published criteria of one scenario are met by one
subject who agreed to that scenario, and gets the smallest possible answer with a receipt that verifies offline.

Successes are `{data, links?, meta?}`; errors are RFC 9457 problem documents with a stable `code`
(`/v1/metadata/error-codes`). Access tokens are bound to the caller's key with DPoP (RFC 9449).
"""

_TAGS: Final = (
    Tag("Checks", "Whether one scenario's criteria are met by one subject who agreed."),
    Tag("Consents", "The subject's agreement to one scenario."),
    Tag("Scenarios", "The application list: criteria, disclosure, purpose, fallback. Public."),
    Tag("Record types", "The data list. Public."),
    Tag("Records", "What sources send."),
    Tag("Ledger", "The transparency log. Public."),
    Tag("Subject", "The subject's own view."),
    Tag("OAuth", "The authorization server."),
    Tag("Metadata", "Closed lists. Public."),
    Tag("Operation", "The state of the process."),
)


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
        path="/docs",
        render_plugins=[JsonRenderPlugin(path="/openapi.json"), YamlRenderPlugin(path="/openapi.yaml")],
        components=Components(
            security_schemes={
                "dpop": SecurityScheme(
                    type="oauth2",
                    description="An access token bound to the client's key, sent with a DPoP proof (RFC 9449).",
                    flows=OAuthFlows(
                        client_credentials=OAuthFlow(
                            token_url="/oauth2/token",  # noqa: S106 (an address)
                            scopes={
                                "checks": "ask for checks",
                                "consents": "see and give up consents",
                                "records": "send records",
                                "partner": "manage one's own registration",
                            },
                        ),
                    ),
                ),
                "session": SecurityScheme(
                    type="apiKey",
                    name="xinyi_session",
                    security_scheme_in="cookie",
                    description="The portal's session of a signed-in subject.",
                ),
            }
        ),
    )


def document_yaml(app: Litestar) -> str:
    """The document of ``app`` as YAML."""
    document = msgspec.to_builtins(app.openapi_schema.to_schema())
    return yaml.safe_dump(document, allow_unicode=True, sort_keys=False, width=120)
