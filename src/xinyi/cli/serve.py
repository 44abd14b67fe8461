"""``xinyi serve``: run the server."""

import socket

import click
import uvicorn
from msgspec.structs import replace

from ..app import create_app
from ..settings import DEFAULT_ISSUER, Settings
from ..telemetry.logs import configure_logging
from .context import current_settings, startup_errors


@click.command()
@click.option("--host", help="The address to listen on; the setting `host` otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
def serve(host: str | None, port: int | None) -> None:
    """Run the server until it is told to stop (SIGTERM, Ctrl-C); what is under way is finished."""
    settings = current_settings()
    settings = replace(
        settings, host=settings.host if host is None else host, port=settings.port if port is None else port
    )
    listener = _listen(settings)
    settings = _reachable_as(settings, listener)
    configure_logging(settings.log_level)
    with startup_errors():
        app = create_app(settings)
    config = uvicorn.Config(
        app,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        timeout_graceful_shutdown=30,
    )
    click.echo(f"xinyi {settings.environment.value}: {settings.issuer}", err=True)
    uvicorn.Server(config).run(sockets=[listener])


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        raise click.ClickException(f"can't listen on {settings.host}:{settings.port}: {error.strerror}") from error


def _reachable_as(settings: Settings, listener: socket.socket) -> Settings:
    """In the sandbox, an issuer that nobody set is the address that is listened on."""
    if settings.is_sandbox and settings.issuer == DEFAULT_ISSUER:
        return replace(settings, issuer=f"http://{settings.host}:{listener.getsockname()[1]}")
    return settings
