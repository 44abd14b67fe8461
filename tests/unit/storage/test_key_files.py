"""Key files are whole, strong, their owner's alone and of this environment, or nothing starts."""

from base64 import urlsafe_b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from click.testing import CliRunner
from joserfc.jwk import ECKey, OKPKey

from tests.support.clock import ManualClock
from tests.support.keys import fresh_keys
from xinyi.cli import main
from xinyi.settings import Environment
from xinyi.storage.key_files import KeysMissing, UnfitKeys, make_keys, open_keys

SECRETS = "secrets.json"
TOKEN = "token.jwks.json"
LEDGER = "ledger.jwks.json"


def text(value: bytes) -> str:
    return urlsafe_b64encode(value).decode()


def change(folder: Path, name: str, change: Callable[[Any], object]) -> None:
    path = folder / name
    document = msgspec.json.decode(path.read_bytes())
    change(document)
    path.write_bytes(msgspec.json.encode(document))


def refusal(folder: Path, environment: Environment = Environment.SANDBOX) -> str:
    with pytest.raises(UnfitKeys) as refused:
        open_keys(folder, environment, ManualClock())
    return str(refused.value)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    fresh_keys(tmp_path / "keys")
    return tmp_path / "keys"


RANDOM = bytes(range(1, 33))


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda d: d.pop("opaque"), "missing required field `opaque`"),
        (lambda d: d.update(more={}), "unknown field `more`"),
        (lambda d: d["pairwise"]["versions"].update(v1=""), "pairwise v1 is shorter than 32 bytes"),
        (lambda d: d["pairwise"]["versions"].update(v1=text(b"secret")), "pairwise v1 is shorter than 32 bytes"),
        (lambda d: d["opaque"]["versions"].update(v1=text(RANDOM[:31])), "opaque v1 is shorter than 32 bytes"),
        (lambda d: d["opaque"]["versions"].update(v1=text(b"\0" * 32)), "opaque v1 isn't random"),
        (lambda d: d["opaque"]["versions"].update(v1=text(b"changeme" * 4)), "opaque v1 isn't random"),
        (lambda d: d["opaque"]["versions"].update(v1="not base64!"), "opaque v1 isn't base64url"),
        (lambda d: d["opaque"]["versions"].update(v1="ключ"), "opaque v1 isn't base64url"),
        (lambda d: d["opaque"]["versions"].update(v1=7), "Expected `str`, got `int`"),
        (lambda d: d["subject_seal"]["versions"].update(v1=text(bytes(range(48)))), "subject_seal v1 must be 32 bytes"),
        (lambda d: d["opaque"].update(current="v2"), "opaque: `current` names no version that is there"),
        (lambda d: d["opaque"].update(versions={}), "opaque: `current` names no version that is there"),
        (lambda d: d["opaque"]["versions"].update(newest=text(RANDOM)), "isn't a key file of xinyi"),
        (lambda d: d.update(opaque=d["pairwise"]), "two secrets in it are equal"),
        (lambda d: d["opaque"]["versions"].update(v2=d["opaque"]["versions"]["v1"]), "two secrets in it are equal"),
    ],
)
def test_secrets_are_whole_long_random_and_different(folder: Path, wrong: Callable[[Any], object], reason: str):
    change(folder, SECRETS, wrong)
    assert reason in refusal(folder)


def other_key(kind: type[ECKey] | type[OKPKey], curve: str) -> dict[str, Any]:
    return {**kind.generate_key(curve).as_dict(private=True), "xinyi_not_before": 0}  # type: ignore[arg-type]  # a union


@pytest.mark.parametrize("name", [TOKEN, LEDGER])
@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        (lambda d: d["keys"].clear(), "length >= 1"),
        (lambda d: d.pop("keys"), "missing required field `keys`"),
        (lambda d: d["keys"][0].pop("d"), "its newest key has no private half"),
        (lambda d: d["keys"][0].pop("xinyi_not_before"), "missing required field `xinyi_not_before`"),
        (lambda d: d["keys"][0].update(xinyi_not_before="soon"), "Expected `int`, got `str`"),
        (lambda d: d["keys"][0].update(d="AAAA"), "no P-256 key pair"),
        (lambda d: d["keys"][0].update(x="%"), "no P-256 key pair"),
        (lambda d: d["keys"].append(other_key(ECKey, "P-384")), "'P-384'"),
        (lambda d: d["keys"].append(other_key(OKPKey, "Ed25519")), "isn't a key file of xinyi"),
        (lambda d: d["keys"].append(d["keys"][0]), "a key stands in it twice"),
        (lambda d: d["keys"].append(other_key(ECKey, "P-256")), "in the order of xinyi_not_before"),
    ],
)
def test_signing_keys_are_p256_key_pairs_in_order(folder: Path, name: str, wrong: Callable[[Any], object], reason: str):
    change(folder, name, wrong)
    assert reason in refusal(folder)


def test_a_private_key_belongs_to_its_public_half(folder: Path):
    other = ECKey.generate_key("P-256").as_dict(private=True)
    change(folder, TOKEN, lambda document: document["keys"][0].update(d=other["d"]))
    assert "no P-256 key pair" in refusal(folder)


def test_tokens_and_checkpoints_share_no_key(folder: Path):
    (folder / LEDGER).write_bytes((folder / TOKEN).read_bytes())
    assert "have keys of their own" in refusal(folder)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"keys": "no"}'])
@pytest.mark.parametrize("name", [SECRETS, TOKEN, LEDGER])
def test_what_is_no_key_file_is_refused_in_one_sentence(folder: Path, name: str, content: bytes):
    (folder / name).write_bytes(content)
    assert refusal(folder).startswith(f"{folder / name} isn't a key file of xinyi: ")


@pytest.mark.parametrize("name", [SECRETS, TOKEN, LEDGER])
def test_keys_of_one_environment_open_nothing_in_the_other(folder: Path, name: str):
    change(folder, name, lambda document: document.update(xinyi_environment="production"))
    assert "was made for production, and this installation is sandbox" in refusal(folder)
    change(folder, name, lambda document: document.pop("xinyi_environment"))
    assert "missing required field `xinyi_environment`" in refusal(folder)


def test_a_sandboxs_keys_never_serve_production(folder: Path):
    assert "was made for sandbox, and this installation is production" in refusal(folder, Environment.PRODUCTION)


def test_missing_keys_name_the_command_that_makes_them(tmp_path: Path):
    with pytest.raises(KeysMissing, match="`xinyi keys init` makes it"):
        open_keys(tmp_path, Environment.PRODUCTION, ManualClock())


@pytest.mark.parametrize("name", [SECRETS, TOKEN, LEDGER])
@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_keys_that_others_can_reach_are_refused(folder: Path, name: str, mode: int):
    (folder / name).chmod(mode)
    with pytest.raises(PermissionError, match="chmod 600"):
        open_keys(folder, Environment.SANDBOX, ManualClock())


def test_keys_that_are_there_are_never_made_anew(folder: Path):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    make_keys(folder, ManualClock().now(), Environment.SANDBOX)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_a_command_ends_in_one_sentence_without_any_part_of_a_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    folder = tmp_path / "keys"
    fresh_keys(folder)
    change(folder, SECRETS, lambda document: document["opaque"]["versions"].update(v1="c2hvcnQ="))
    result = CliRunner().invoke(main, ["partners", "list"], catch_exceptions=False)
    assert result.exit_code == 1
    assert result.output == f"Error: 安装有误 / {folder / SECRETS}: opaque v1 is shorter than 32 bytes\n"
