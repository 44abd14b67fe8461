"""``xinyi keys``: the key files."""

from datetime import UTC, datetime, timedelta

import click

from ..audit.model import Act
from ..kernel.clock import SystemClock
from ..storage.key_files import Purpose, make_keys, require_revocable, revoke, rotate, states
from ..wiring import Services
from .accounts import account
from .context import current_settings, known_errors, print_json, with_services
from .options import json_option, reason_option
from .tables import show_table
from .words import say

AHEAD = 600
"""Seconds: twice as long as others may keep the JWK Set that they fetched."""


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


@keys.command("rotate")
@click.option("--ledger", "purpose", flag_value=Purpose.LEDGER, help="The ledger's key, not the tokens'.")
@click.option(
    "--ahead",
    type=click.IntRange(0, 30 * 86400),
    default=AHEAD,
    show_default=True,
    help="Seconds from when it is published until it signs.",
)
def rotate_(purpose: Purpose | None, ahead: int) -> None:
    """Make a new signing key, which is published at once and signs from then on when everybody knows it.

    Running workers take it up by themselves. What the last key signed is taken as long as it lives; the ledger's keys
    stay published for ever.
    """
    settings = current_settings()
    with known_errors():
        key = rotate(
            settings.keys_dir,
            purpose or Purpose.TOKEN,
            settings.environment,
            SystemClock(),
            timedelta(seconds=ahead),
        )
    moment = _moment(key.not_before)
    say(f"自 {moment} 起用于签名", f"signs from {moment} on", of=key.kid)


@keys.command("revoke")
@click.argument("kid", metavar="KID")
@reason_option
@with_services
async def revoke_(services: Services, kid: str, reason: str) -> None:
    """Refuse from now on whatever a token key has signed, because it has leaked for example; another one signs.

    Running workers refuse it with their next request. The ledger's keys can't be revoked.
    """
    settings = services.settings
    require_revocable(services.keys, kid)
    async with services.database.transaction() as tx:
        await services.audit.note(tx, Act.TOKEN_KEY_REVOKED, kid, by=account(), reason=reason)
        try:
            await services.oauth.tokens.refuse_key(kid)
        finally:
            await services.cache.close()
        signing = revoke(settings.keys_dir, kid, settings.environment, services.clock)
    say(f"即刻拒绝；现由 {signing.kid} 签名", f"refused from now on; {signing.kid} signs", of=kid)


@keys.command("list")
@json_option
def list_(*, as_json: bool) -> None:
    """List the keys that sign, and what each does now. Nothing of a private half is shown."""
    settings = current_settings()
    with known_errors():
        found = states(settings.keys_dir, settings.environment, SystemClock())
    if as_json:
        print_json(
            [
                {"use": purpose, "kid": key.kid, "state": state, "not_before": key.not_before}
                for purpose, key, state in found
            ]
        )
        return
    show_table(
        ["use", "key", "state", "signs from"],
        [(purpose, key.kid, state, _moment(key.not_before)) for purpose, key, state in found],
    )


def _moment(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
