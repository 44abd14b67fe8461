"""A signing key is published, signs, and is retired when nothing that it signed is in use any more."""

import threading
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from structlog.testing import capture_logs

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from xinyi.cli import main
from xinyi.oauth.access_token import LIFETIME
from xinyi.settings import Environment
from xinyi.storage.key_files import (
    FILES,
    TOKENS_LIVE,
    KeyStays,
    KeyWaits,
    Purpose,
    UnfitKeys,
    open_keys,
    revoke,
    rotate,
    states,
)
from xinyi.storage.keys import KeyState, SigningKey

AHEAD = timedelta(minutes=10)
SANDBOX = Environment.SANDBOX
SECOND = timedelta(seconds=1)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fresh_keys(tmp_path / "keys")
    return tmp_path / "keys"


def document(folder: Path, purpose: Purpose) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.json.decode((folder / FILES[purpose]).read_bytes())
    return found


def shown(folder: Path, clock: ManualClock, purpose: Purpose) -> list[KeyState]:
    return [state for use, _, state in states(folder, SANDBOX, clock) if use is purpose]


def turn(folder: Path, clock: ManualClock, purpose: Purpose = Purpose.TOKEN) -> SigningKey:
    return rotate(folder, purpose, SANDBOX, clock, AHEAD)


def test_no_token_outlives_its_key():
    assert LIFETIME < TOKENS_LIVE


def test_a_running_ring_publishes_then_signs_then_retires(folder: Path, clock: ManualClock):
    ring = open_keys(folder, SANDBOX, clock).token
    old = ring.signing
    new = turn(folder, clock)
    assert shown(folder, clock, Purpose.TOKEN) == [KeyState.SIGNING, KeyState.PUBLISHED]
    assert (ring.signing.kid, [key["kid"] for key in ring.public_jwks()["keys"]]) == (old.kid, [old.kid, new.kid])

    clock.advance(AHEAD - SECOND)
    assert ring.signing.kid == old.kid
    clock.advance(SECOND)
    assert ring.signing.kid == new.kid
    assert shown(folder, clock, Purpose.TOKEN) == [KeyState.VERIFYING, KeyState.SIGNING]

    clock.advance(TOKENS_LIVE - SECOND)
    assert ring.find(old.kid) is not None
    clock.advance(SECOND)
    assert ring.find(old.kid) is None
    assert [key["kid"] for key in ring.public_jwks()["keys"]] == [new.kid]

    turn(folder, clock)
    assert old.kid not in {key["kid"] for key in document(folder, Purpose.TOKEN)["keys"] if "kid" in key}
    assert len(document(folder, Purpose.TOKEN)["keys"]) == 2


def test_the_ledgers_keys_stay_published_with_their_time_and_lose_what_signs(folder: Path, clock: ManualClock):
    ring = open_keys(folder, SANDBOX, clock).ledger
    kids = [ring.signing.kid]
    for _ in range(3):
        kids.append(turn(folder, clock, Purpose.LEDGER).kid)
        clock.advance(timedelta(days=365))
    published = ring.public_jwks()["keys"]
    assert [key["kid"] for key in published] == kids
    begins = [key["xinyi_not_before"] for key in published]
    assert [key.get("xinyi_not_after") for key in published] == [*begins[1:], None]
    assert all(ring.find(kid) is not None for kid in kids)
    turn(folder, clock, Purpose.LEDGER)
    assert ["d" in key for key in document(folder, Purpose.LEDGER)["keys"]] == [False, False, False, True, True]


def test_a_revoked_key_is_gone_at_once_and_a_new_one_signs_before_the_next(folder: Path, clock: ManualClock):
    ring = open_keys(folder, SANDBOX, clock).token
    old, next_ = ring.signing, turn(folder, clock)
    signing = revoke(folder, old.kid, SANDBOX, clock)
    assert ring.find(old.kid) is None
    assert ring.signing.kid == signing.kid not in {old.kid, next_.kid}
    assert [key["kid"] for key in ring.public_jwks()["keys"]] == [signing.kid, next_.kid]
    clock.advance(AHEAD)
    assert ring.signing.kid == next_.kid
    assert "d" in document(folder, Purpose.TOKEN)["keys"][0]


def test_a_key_that_doesnt_sign_is_revoked_and_the_signing_one_goes_on(folder: Path, clock: ManualClock):
    ring = open_keys(folder, SANDBOX, clock).token
    first, waits = ring.signing, turn(folder, clock)
    assert revoke(folder, waits.kid, SANDBOX, clock).kid == first.kid
    second = rotate(folder, Purpose.TOKEN, SANDBOX, clock, timedelta(0))
    assert revoke(folder, first.kid, SANDBOX, clock).kid == second.kid  # which was taken for its last tokens
    assert shown(folder, clock, Purpose.TOKEN) == [KeyState.SIGNING]


def test_what_was_retired_isnt_taken_again_when_its_successor_is_revoked(folder: Path, clock: ManualClock):
    ring = open_keys(folder, SANDBOX, clock).token
    first, second = ring.signing, turn(folder, clock)
    clock.advance(AHEAD + TOKENS_LIVE)
    revoke(folder, second.kid, SANDBOX, clock)
    assert ring.find(first.kid) is None
    assert shown(folder, clock, Purpose.TOKEN) == [KeyState.SIGNING]


def test_a_key_is_revoked_once_and_the_ledgers_never(folder: Path, clock: ManualClock):
    keys = open_keys(folder, SANDBOX, clock)
    revoke(folder, keys.token.signing.kid, SANDBOX, clock)
    for kid in (next(iter(keys.ledger.kids)), "nobodys"):
        with pytest.raises(KeyStays):
            revoke(folder, kid, SANDBOX, clock)


def test_the_rings_turn_apart(folder: Path, clock: ManualClock):
    before = (folder / FILES[Purpose.LEDGER]).read_bytes()
    turn(folder, clock)
    assert (folder / FILES[Purpose.LEDGER]).read_bytes() == before
    assert shown(folder, clock, Purpose.LEDGER) == [KeyState.SIGNING]


def test_the_file_stays_its_owners_alone(folder: Path, clock: ManualClock):
    turn(folder, clock)
    assert {path.name: path.stat().st_mode & 0o777 for path in folder.iterdir()} == dict.fromkeys(
        [*FILES.values(), "secrets.json"], 0o600
    )


def test_one_key_waits_at_a_time_whoever_rotates(folder: Path, clock: ManualClock):
    waited: list[KeyWaits] = []

    def again() -> None:
        try:
            turn(folder, clock)
        except KeyWaits as waits:
            waited.append(waits)

    threads = [threading.Thread(target=again) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(waited) == 7
    assert "waits to sign from 2026-11-02 08:10:00 UTC" in str(waited[0])
    assert len(document(folder, Purpose.TOKEN)["keys"]) == 2


@pytest.mark.parametrize("content", [b"", b"{", b'{"keys": []}', None])
def test_a_file_that_cant_be_used_changes_nothing_until_it_can(folder: Path, clock: ManualClock, content: bytes | None):
    ring = open_keys(folder, SANDBOX, clock).token
    path, kid = folder / FILES[Purpose.TOKEN], ring.signing.kid
    good = path.read_bytes()
    if content is None:
        path.chmod(0o644)
        path.write_bytes(good + b"\n")
    else:
        path.write_bytes(content)
    with capture_logs() as logs:
        assert [ring.signing.kid, ring.signing.kid] == [kid, kid]
    assert [line["event"] for line in logs] == ["key_file_unfit"]
    path.unlink()
    assert ring.find(kid) is not None
    path.write_bytes(good)
    path.chmod(0o600)
    new = turn(folder, clock)
    assert ring.kids == {kid, new.kid}


def test_a_running_ledger_lets_no_key_vanish(folder: Path, clock: ManualClock):
    ring = open_keys(folder, SANDBOX, clock).ledger
    first = ring.signing.kid
    second = turn(folder, clock, Purpose.LEDGER).kid
    assert ring.kids == {first, second}
    path = folder / FILES[Purpose.LEDGER]
    cut = document(folder, Purpose.LEDGER)
    cut["keys"] = cut["keys"][1:]
    path.write_bytes(msgspec.json.encode(cut))
    assert ring.kids == {first, second}


def test_keys_that_arent_there_cant_be_rotated(tmp_path: Path, clock: ManualClock):
    with pytest.raises(UnfitKeys, match="`xinyi keys init` makes it"):
        turn(tmp_path / "none", clock)


def test_the_commands(folder: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XINYI_DATA_DIR", str(folder.parent))

    def xinyi(*words: str) -> str:
        result = CliRunner().invoke(main, ["keys", *words])
        assert result.exit_code == 0, result.output
        return result.output

    before = msgspec.json.decode(xinyi("list", "--json"))
    assert [(key["use"], key["state"]) for key in before] == [("token", "signing"), ("ledger", "signing")]
    told = [xinyi("rotate", "--ahead", "0"), xinyi("rotate", "--ledger")]
    after = msgspec.json.decode(xinyi("list", "--json"))
    assert [(key["use"], key["state"]) for key in after] == [
        ("token", "verifying"),
        ("token", "signing"),
        ("ledger", "signing"),
        ("ledger", "published"),
    ]
    assert [line.split(":")[0] for line in told] == [after[1]["kid"], after[3]["kid"]]
    assert after[3]["kid"] in xinyi("list")
    again = CliRunner().invoke(main, ["keys", "rotate", "--ledger"])
    assert (again.exit_code, "waits to sign" in again.output) == (1, True)
    secrets = [key["d"] for purpose in Purpose for key in document(folder, purpose)["keys"]]
    assert not any(secret in xinyi("list") + xinyi("list", "--json") for secret in secrets)
