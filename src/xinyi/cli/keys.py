"""``xinyi keys``: the key files."""

import click

from ..kernel.clock import SystemClock
from ..storage.key_files import make_keys
from .context import current_settings


@click.group()
def keys() -> None:
    """Signing keys and secrets, in files that their owner alone can read."""


@keys.command()
def init() -> None:
    """Make the key files that are missing; those that are there stay as they are."""
    settings = current_settings()
    folder = settings.keys_dir
    make_keys(folder, SystemClock().now(), settings.environment)
    click.echo(f"{folder}: token.jwks.json, ledger.jwks.json, secrets.json")
