"""``xinyi consents verify``: a signed copy, offline."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.world import COMPANY, World
from xinyi.cli import main
from xinyi.consents.model import Party
from xinyi.ledger.checkpoint import CheckpointKeys

pytestmark = pytest.mark.anyio


async def test_a_copy_verifies_with_the_published_keys_and_what_was_changed_does_not(
    world: World, tmp_path: Path
) -> None:
    company = await world.subject(COMPANY)
    client = await world.client("microloan-prescreen")
    consent = await world.consent(client, "microloan-prescreen", company)
    jws = await world.services.consents.copy_for(consent.id, Party.SUBJECT, company.id)
    published = world.services.ledger.jwks()
    assert CheckpointKeys(published), "the same keys that receipts verify with"
    file, keys = tmp_path / "copy.jws", tmp_path / "jwks.json"
    file.write_text(jws + "\n")
    keys.write_text(json.dumps(published))
    verified = CliRunner().invoke(main, ["consents", "verify", str(file), "--jwks", str(keys)])
    assert verified.exit_code == 0, verified.output
    for said in (consent.id, "示例机构", "公共信用信息核验授权书", "不是信用主体的电子签名"):
        assert said in verified.output
    told = CliRunner().invoke(main, ["consents", "verify", str(file), "--jwks", str(keys), "--json"])
    assert json.loads(told.output)["text_digest"] == consent.text_digest
    file.write_text(jws[:-6])
    refused = CliRunner().invoke(main, ["consents", "verify", str(file), "--jwks", str(keys)])
    assert (refused.exit_code, "Traceback" in refused.output) == (1, False)
    assert "signature isn't valid" in refused.output


async def test_a_checkpoint_is_not_taken_for_a_copy(world: World, tmp_path: Path) -> None:
    client = await world.client("microloan-prescreen")
    await world.consent(client, "microloan-prescreen", await world.subject(COMPANY))
    file, keys = tmp_path / "checkpoint.jws", tmp_path / "jwks.json"
    async with world.services.database.read() as tx:
        file.write_text(await world.services.ledger.latest_checkpoint(tx))
    keys.write_text(json.dumps(world.services.ledger.jwks()))
    refused = CliRunner().invoke(main, ["consents", "verify", str(file), "--jwks", str(keys)])
    assert "its type isn't xinyi-consent+jws" in refused.output
