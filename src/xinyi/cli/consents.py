"""``xinyi consents``: what stands about consents in files."""

from pathlib import Path
from typing import Any

import click
import msgspec

from ..consents.copies import InvalidCopy
from ..consents.copies import verify as verify_copy
from .context import print_json
from .options import json_option
from .words import both

_TIME = "%Y-%m-%d %H:%M:%S"
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group()
def consents() -> None:
    """Signed copies of written consents."""


@consents.command()
@click.argument("file", type=FILE)
@click.option("--jwks", "keys", type=FILE, required=True, help="The ledger's public keys, from /v1/ledger/jwks.")
@json_option
def verify(file: Path, keys: Path, *, as_json: bool) -> None:
    """Verify a signed copy offline: that the platform signed it, and that its text hasn't changed since.

    Needs no installation and no network. The signature is the platform's, not the subject's.
    """
    try:
        jwks: dict[str, Any] = msgspec.json.decode(keys.read_bytes(), type=dict[str, Any])
        copy = verify_copy(file.read_text("utf-8"), jwks)
    except (InvalidCopy, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise click.ClickException(both("副本未通过核验", f"{file}: {error}")) from None
    if as_json:
        print_json(msgspec.to_builtins(copy))
        return
    for zh, en, value in (
        ("签名", "signed", f"{copy.signed_at:{_TIME}} UTC, {copy.iss}"),
        ("授权", "consent", copy.consent_id),
        ("授权人", "from", copy.subject),
        ("接入机构", "to", f"{copy.partner} ({copy.partner_id})"),
        ("应用场景", "scenario", copy.scenario.id),
        ("同意于", "agreed", f"{copy.authorised_at:{_TIME}} UTC"),
        ("有效至", "until", f"{copy.expires_at:{_TIME}} UTC"),
    ):
        click.echo(f"{both(zh, en)}: {value}")
    click.echo(copy.statement.zh)
    click.echo(copy.statement.en)
    click.echo()
    click.echo(copy.text, nl=False)
