"""``xinyi serve``: run the server, in one process or in many that share one socket."""

import asyncio
import errno
import gc
import os
import resource
import socket
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from ipaddress import ip_address

import click
import uvicorn
from litestar import Litestar
from msgspec.structs import replace

from ..app import create_app
from ..settings import DEFAULT_ISSUER, Settings, SettingsError
from ..telemetry.logs import configure_logging
from ..web.draining import DrainingServer, DrainingWorkers
from ..web.protocol import BoundedProtocol
from ..wiring import require_ready
from .collector import collect_seldom
from .context import current_settings, known_errors, say_made
from .words import both, say

_OTHER_FILES = 250
"""Open files beside the connections: databases, keys, uploads under way."""
_FEWEST = 10


@click.command()
@click.option("--host", help="The address to listen on; the setting `host` otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="The port; 0 takes a free one.")
@click.option("--workers", type=click.IntRange(1, 1024), help="How many processes; the setting `workers` otherwise.")
@click.option(
    "--allow-remote-sandbox", is_flag=True, help="Let a sandbox, where anybody is whoever they choose, be reached."
)
def serve(host: str | None, port: int | None, workers: int | None, *, allow_remote_sandbox: bool) -> None:
    """Run the server until it is told to stop (SIGTERM, Ctrl-C); what is under way is finished.

    More than one worker need PostgreSQL and Redis, whose state they share; one that dies is replaced. A sandbox is
    refused on an address that others can reach, unless --allow-remote-sandbox says that this is meant.
    """
    given = {"host": host, "port": port, "workers": workers}
    try:
        settings = replace(current_settings(), **{name: value for name, value in given.items() if value is not None})
    except SettingsError as error:
        raise click.ClickException(both("设置有误", str(error))) from error
    run_server(settings, allow_remote_sandbox=allow_remote_sandbox)


def run_server(
    settings: Settings, *, allow_remote_sandbox: bool = False, before: Callable[[Settings], None] = lambda _: None
) -> None:
    """Serves until it is told to stop. ``before`` is called when the address is known; nothing answers yet."""
    configure_logging(settings.log_level)
    _require_ready(settings)
    connections = _make_room(settings.connections)
    listener = _listen(settings)
    if settings.is_sandbox and not allow_remote_sandbox:
        _require_loopback(listener)
    settings = _reachable_as(settings, listener)
    before(settings)
    make_app = partial(_application, settings)
    with known_errors():
        app = make_app() if settings.workers == 1 else make_app
    config = uvicorn.Config(
        app,
        factory=settings.workers > 1,
        workers=settings.workers,
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        ws="none",
        http=BoundedProtocol,
        limit_concurrency=connections + 1,
        timeout_graceful_shutdown=30,
    )
    # The same in both languages, and its beginning stays: programs wait for this line to learn the address.
    click.echo(f"xinyi {settings.environment.value}: {settings.issuer}", err=True)
    if connections < settings.connections:
        say(
            f"受打开文件数所限，每个进程只能有 {connections} 个连接（设置为 {settings.connections}）",
            f"the limit of open files leaves a worker {connections} of {settings.connections} connections",
            err=True,
        )
    with suppress(KeyboardInterrupt):  # uvicorn passes on the Ctrl-C that it has obeyed
        if settings.workers == 1:
            DrainingServer(config).run(sockets=[listener])
        else:
            DrainingWorkers(config, sockets=[listener]).run()


def _application(settings: Settings) -> Litestar:
    """The application of this process. What is there before the first request stays for good: the collector of
    reference cycles need not look at it again."""
    configure_logging(settings.log_level)
    app = create_app(settings)
    gc.collect()
    gc.freeze()
    collect_seldom()
    return app


def _require_ready(settings: Settings) -> None:
    """Tells in one sentence what is missing, before any worker would fail on it."""
    with known_errors():
        made = asyncio.run(require_ready(settings))
    if made is not None:
        say_made(made)


def _make_room(connections: int) -> int:
    """Lets this process, and the workers it starts, have as many files open as there may be connections.

    Gives how many connections there may be: fewer when the system doesn't allow as many files.
    """
    needed = connections + _OTHER_FILES
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY:
        needed = min(needed, hard)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    return max(needed - _OTHER_FILES, _FEWEST)


def _listen(settings: Settings) -> socket.socket:
    try:
        return socket.create_server((settings.host, settings.port), backlog=2048)
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)  # without what Python adds to it
        hint = "; take another --port" if error.errno == errno.EADDRINUSE else ""
        address = f"{settings.host}:{settings.port}"
        raise click.ClickException(both("无法监听", f"can't listen on {address}: {why}{hint}")) from error


def _require_loopback(listener: socket.socket) -> None:
    """No setting, but an option of each run: what is left in a file of settings is soon forgotten."""
    address = listener.getsockname()[0]
    if not ip_address(address).is_loopback:
        listener.close()
        raise click.ClickException(
            both(
                f"沙箱中任何人都能以任意身份登录，而 {address} 可从外部访问",
                f"a sandbox lets anybody sign in as whoever they choose, and {address} can be reached by others: "
                "listen on 127.0.0.1, or say --allow-remote-sandbox",
            )
        )


def _reachable_as(settings: Settings, listener: socket.socket) -> Settings:
    """In the sandbox, an issuer that nobody set is the address that is listened on."""
    if settings.is_sandbox and settings.issuer == DEFAULT_ISSUER:
        return replace(settings, issuer=f"http://{settings.host}:{listener.getsockname()[1]}")
    return settings
