"""``xinyi clients keys``: the keys that a client authenticates with, as the operator changes them."""

from typing import BinaryIO

import click

from ..audit.model import Act
from ..partners.model import ChangedBy
from ..wiring import Services
from .accounts import account
from .context import print_json, read_jwks, with_services
from .options import json_option, reason_option
from .tables import show_table
from .words import both, say

_TIME = "%Y-%m-%d %H:%M:%S UTC"


@click.group()
def keys() -> None:
    """A client's registered keys. A change by the operator works at once; one by the client itself waits."""


@keys.command("list")
@click.argument("client_id", metavar="ID")
@json_option
@with_services
async def list_(services: Services, client_id: str, as_json: bool) -> None:
    """List the keys of a client, the oldest first, with those that wait until they work."""
    async with services.database.read() as tx:
        found = await services.partners.registered_keys(tx, client_id)
    if as_json:
        print_json(
            [
                {"id": key.id, "kid": key.jwk["kid"], "added_at": key.added_at, "works_from": key.works_from}
                for key in found
            ]
        )
        return
    show_table(
        ["key", "kid", "created at", "works from"],
        [(key.id, key.jwk["kid"], key.added_at.strftime(_TIME), key.works_from.strftime(_TIME)) for key in found],
    )


@keys.command()
@click.argument("client_id", metavar="ID")
@click.option("--jwks", type=click.File("rb"), required=True, help="The key, a JWK Set of one (RFC 7517).")
@reason_option
@with_services
async def add(services: Services, client_id: str, jwks: BinaryIO, reason: str) -> None:
    """Give a client one more key, which works at once; one that waits needn't wait any longer.

    Be sure who asks: by a way on which you know the partner, and not by the key that may have leaked.
    """
    match read_jwks(jwks):
        case {"keys": [jwk]}:
            pass
        case _:
            raise click.ClickException(both("JWK Set 须恰好有一个密钥", "the JWK Set must hold exactly one key"))
    async with services.database.transaction() as tx:
        key = await services.partners.add_key(tx, client_id, jwk, ChangedBy.OPERATOR)
        await services.audit.note(tx, Act.CLIENT_KEY_ADDED, client_id, by=account(), reason=reason)
    say("已生效", "works from now on", of=key.id)


@keys.command()
@click.argument("client_id", metavar="ID")
@click.argument("key_id", metavar="KEY")
@reason_option
@with_services
async def remove(services: Services, client_id: str, key_id: str, reason: str) -> None:
    """Take a key from a client: nothing that it signs is taken from now on. The only one that works stays."""
    async with services.database.transaction() as tx:
        await services.partners.remove_key(tx, client_id, key_id, ChangedBy.OPERATOR)
        await services.audit.note(tx, Act.CLIENT_KEY_REMOVED, client_id, by=account(), reason=reason)
    say("已移除", "removed", of=key_id)
