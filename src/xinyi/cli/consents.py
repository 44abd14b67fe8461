"""``xinyi consents``: what stands about consents in files."""

from pathlib import Path
from typing import Any

import click
import msgspec

from ..consents.copies import InvalidCopy
from ..consents.copies import verify as verify_copy
from .context import print_json

FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def consents() -> None:
    """Signed copies of written consents."""


@consents.command()
@click.argument("file", type=FILE)
@click.option("--jwks", "keys", type=FILE, required=True, help="The ledger's public keys, from /v1/ledger/jwks.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(file: Path, keys: Path, *, as_json: bool) -> None:
    """Verify a signed copy offline: that the platform signed it, and that its text hasn't changed since.

    Needs no installation and no network. The signature is the platform's, not the subject's.
    """
    try:
        jwks: dict[str, Any] = msgspec.json.decode(keys.read_bytes(), type=dict[str, Any])
        copy = verify_copy(file.read_text("utf-8"), jwks)
    except (InvalidCopy, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{file}: {error}") from None
    if as_json:
        print_json(msgspec.to_builtins(copy))
        return
    click.echo(f"signed by {copy.iss} at {copy.signed_at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(f"{copy.consent_id}: {copy.subject} to {copy.partner} ({copy.partner_id}), {copy.scenario.id}")
    click.echo(f"agreed on {copy.authorised_at:%Y-%m-%d %H:%M:%S} UTC, until {copy.expires_at:%Y-%m-%d %H:%M:%S} UTC")
    click.echo(copy.statement.zh)
    click.echo(copy.statement.en)
    click.echo()
    click.echo(copy.text, nl=False)
