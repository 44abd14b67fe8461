"""``xinyi-sdk``: a key pair, and receipts verified without network."""

import io
import json
import stat
from pathlib import Path
from typing import Any

import pytest
from joserfc.jwk import ECKey

from tests.sdk.platform import Log, check
from xinyi_sdk.cli import main

REFERENCE = "LOAN-2026-000123"


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    log = Log()
    body = check(log, REFERENCE)
    other = check(log, REFERENCE)
    contents: dict[str, Any] = {
        "receipt": body["receipt"] + "\n",
        "jwks": json.dumps(log.jwks),
        "answer": json.dumps(body),
        "other": json.dumps(other),
    }
    for name, text in contents.items():
        (tmp_path / name).write_text(text)
    return {name: str(tmp_path / name) for name in contents}


def test_a_receipt_is_verified_and_told(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", files["receipt"], "--jwks", files["jwks"]]) == 0
    said = capsys.readouterr().out
    assert "microloan-prescreen v1" in said
    assert "结果 / outcome: met" in said
    assert "not compared (--answer)" in said


def test_a_receipt_may_come_from_standard_input_with_its_answer_and_reference(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(Path(files["receipt"]).read_text()))
    options = ["--jwks", files["jwks"], "--answer", files["answer"], "--reference", REFERENCE, "--json"]
    assert main(["verify", "-", *options]) == 0
    assert json.loads(capsys.readouterr().out)["outcome"] == "met"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--reference", "another"], "reference"),
        (["--issuer", "https://another.example"], "issuer"),
        (["--answer", "other"], "answer"),
    ],
)
def test_a_receipt_that_proves_nothing_ends_with_1_and_why(
    files: dict[str, str], capsys: pytest.CaptureFixture[str], options: list[str], why: str
) -> None:
    options = [files.get(option, option) for option in options]
    assert main(["verify", files["receipt"], "--jwks", files["jwks"], *options]) == 1
    assert f"核验未通过 / not verified: {why}:" in capsys.readouterr().err


def test_a_file_that_cant_be_read_ends_with_2(files: dict[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify", "/no/such/file", "--jwks", files["jwks"]]) == 2
    assert main(["verify", files["receipt"], "--jwks", files["receipt"]]) == 2
    Path(files["jwks"]).write_text("[]")
    assert main(["verify", files["receipt"], "--jwks", files["jwks"]]) == 2
    assert "isn't a JSON object" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main([])
    assert caught.value.code == 2


def test_a_key_pair_is_made_once_for_its_owner_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "new" / "keys"
    assert main(["keygen", "--out", str(folder)]) == 0
    private = folder / "private-key.pem"
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    (public,) = json.loads((folder / "jwks.json").read_text())["keys"]
    key = ECKey.import_key(private.read_bytes())
    assert public == {**key.as_dict(private=False), "kid": key.thumbprint(), "use": "sig", "alg": "ES256"}
    before = private.read_bytes()
    assert main(["keygen", "--out", str(folder)]) == 2
    assert private.read_bytes() == before
    assert "private-key.pem" in capsys.readouterr().err
