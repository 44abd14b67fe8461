"""What commands share: the settings, the services, and how they say what went wrong."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Concatenate, ParamSpec

import click
import msgspec

from ..catalogue.files import FileError
from ..kernel.errors import XinyiError
from ..settings import Settings, SettingsError, load_settings
from ..storage.cache import UnfitCache
from ..storage.installation import OtherEnvironment
from ..storage.key_files import UnfitKeys
from ..storage.migrate import NotMigrated
from ..storage.private import made_private
from ..telemetry.traces import TracesMissing
from ..wiring import Services
from .words import both, named, say

P = ParamSpec("P")


def current_settings() -> Settings:
    """The settings that the command line, the file and the environment give.

    Raises ``click.ClickException`` naming what is wrong.
    """
    config: Path | None = click.get_current_context().obj
    try:
        return load_settings(config)
    except SettingsError as error:
        raise click.ClickException(both("设置有误", str(error))) from error


def with_services(command: Callable[Concatenate[Services, P], Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Makes a click callback of an async function that gets the services first.

    Put it below the click decorators. Known errors end the command with status 1 and one sentence.
    """

    @functools.wraps(command)
    def callback(*args: P.args, **kwargs: P.kwargs) -> None:
        async def work(services: Services) -> None:
            new = services.database.is_sqlite and not services.database.files
            async with services.opened():
                if new:
                    say_made(services.database.files[0])
                await command(services, *args, **kwargs)

        settings = current_settings()
        with known_errors():
            services = Services.build(settings)
            asyncio.run(work(services))

    return callback


def say_made(database: Path) -> None:
    """Tells, apart from a command's own output, that there was no installation and which one was made."""
    say("新建沙箱数据库", f"Made a new sandbox's database: {database.absolute()}", err=True)


def _told(error: XinyiError) -> str:
    """What went wrong, in one sentence; its English is the detail where there is one."""
    title = error.definition.title
    if error.detail is None:
        return named(title)
    return both(title.zh, error.detail if error.source is None else f"{error.source}: {error.detail}")


@contextmanager
def known_errors() -> Generator[None]:
    """Ends the command with one sentence when what the services need is missing or wrong, or when they refuse.

    What is made meanwhile is the operator's alone.
    """
    try:
        with made_private():
            yield
    except XinyiError as error:
        raise click.ClickException(_told(error)) from error
    except (
        FileError,
        NotMigrated,
        OtherEnvironment,
        PermissionError,
        TracesMissing,
        UnfitCache,
        UnfitKeys,
    ) as error:
        raise click.ClickException(both("安装有误", str(error))) from error


def print_json(value: object) -> None:
    """Prints ``value`` for scripts to read."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2))


def read_jwks(file: BinaryIO) -> object:
    """The JSON that should be a JWK Set. Raises ``click.ClickException`` when it isn't JSON."""
    try:
        return msgspec.json.decode(file.read())
    except msgspec.DecodeError as error:
        raise click.ClickException(
            both("JWK Set 不是 JSON", "the JWK Set isn't JSON: give the jwks.json that `xinyi-sdk keygen` makes")
        ) from error


def require_sandbox(settings: Settings) -> None:
    """Raises ``click.ClickException`` unless this is a sandbox."""
    if not settings.is_sandbox:
        raise click.ClickException(both("当前安装不是沙箱", "this is not a sandbox"))
