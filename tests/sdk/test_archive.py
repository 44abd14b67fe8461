"""Receipts kept for years: whole or not there, by many writers, and verified without the platform."""

import json
import multiprocessing
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.sdk.conftest import result
from tests.sdk.platform import CONSENT, ISSUER, Log, Platform, b64, canonical, check, consistency_path
from xinyi_sdk import Answer, Receipt, ReceiptArchive, ReceiptInvalid, Xinyi
from xinyi_sdk.cli import main
from xinyi_sdk.testing import FakeXinyi

ASK = {"scenario": "microloan-prescreen", "consent_id": CONSENT}


@pytest.fixture
def kept(tmp_path: Path) -> ReceiptArchive:
    return ReceiptArchive(tmp_path / "receipts")


async def asked(client: Any, reference: str) -> Answer:
    answer: Answer = await result(client.checks.create(**ASK, reference=reference))
    return answer


async def test_what_is_kept_verifies_without_anything_else(client: Any, kept: ReceiptArchive) -> None:
    answers = {f"CASE-{n}": await asked(client, f"CASE-{n}") for n in range(3)}
    places = [kept.add(answer, reference=reference) for reference, answer in answers.items()]
    assert places[0] == kept.folder / "2026" / "11" / "02" / f"{answers['CASE-0'].id}.json"
    found = list(ReceiptArchive(kept.folder).verify(issuer=ISSUER))
    assert {each.path for each in found} == set(places)
    assert {each.verified.id for each in found if each.verified} == {answer.id for answer in answers.values()}
    before = places[0].read_bytes()
    assert kept.add(answers["CASE-0"], reference="CASE-0") == places[0], "adding again changes nothing"
    assert places[0].read_bytes() == before
    with pytest.raises(ValueError, match="another answer"):
        kept.add(answers["CASE-0"], reference="CASE-1")
    places[1].unlink()
    assert len(list(kept.verify())) == 2, "what is deleted when its retention ends leaves no hole"


async def test_receipts_signed_with_keys_that_were_rotated_since_still_verify(
    client: Any, platform: Platform, kept: ReceiptArchive
) -> None:
    kept.add(await asked(client, "OLD"), reference="OLD")
    platform.log.key = platform.log.key.generate_key("P-256", auto_kid=True)
    platform.time.seconds += 61
    kept.add(await asked(client, "NEW"), reference="NEW")
    assert all(each.verified for each in kept.verify())
    assert {key["kid"] for key in kept.jwks()["keys"]} >= {platform.log.key.kid}
    assert len({each.verified.kid for each in kept.verify() if each.verified}) == 2


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda body: body.update(reference="ANOTHER"), "reference"),
        (lambda body: body["data"].update(outcome="not_evidenced"), "answer"),
        (lambda body: body["data"]["disclosed"]["tax-rating"].update(grade="B"), "answer"),
        (lambda body: body.update(receipt=body["receipt"][:-4] + "AAAA"), "signature"),
        (lambda body: body.pop("receipt"), "form"),
    ],
)
async def test_a_file_that_was_changed_is_named(client: Any, kept: ReceiptArchive, spoil: Any, reason: str) -> None:
    place = kept.add(await asked(client, "CASE-1"), reference="CASE-1")
    body = json.loads(place.read_text())
    spoil(body)
    place.write_text(json.dumps(body))
    (found,) = kept.verify()
    assert (found.path, found.verified) == (place, None)
    assert isinstance(found.error, ReceiptInvalid)
    assert found.error.reason == reason


async def test_a_file_under_another_name_and_one_that_isnt_json_are_named(client: Any, kept: ReceiptArchive) -> None:
    place = kept.add(await asked(client, "CASE-1"), reference="CASE-1")
    place.rename(place.with_name("chk_another.json"))
    place.write_bytes(b"{half")
    assert sorted(each.error.reason for each in kept.verify() if each.error) == ["entry", "form"]


def test_two_histories_of_one_log_are_found(kept: ReceiptArchive) -> None:
    log, other = Log(), Log()
    other.key, other.log_id = log.key, log.log_id
    for shown in (log, other):
        body = check(shown, "CASE-1")
        place = kept.folder / "2026" / "11" / "02" / f"{body['data']['id']}.json"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps({**body, "reference": "CASE-1"}))
    kept.add_keys(log.jwks)
    assert sorted(each.error.reason if each.error else "" for each in kept.verify()) == ["", "fork"]


def test_a_head_of_the_log_is_kept_to_be_compared_with_later_ones(fake_xinyi: FakeXinyi, kept: ReceiptArchive) -> None:
    consent = fake_xinyi.consent("bike-deposit")
    with Xinyi() as client:
        client.checks.create(scenario="bike-deposit", consent_id=consent.id, reference="R")
        head = client.ledger.checkpoint()
        place = kept.add_checkpoint(head)
        assert place.read_text().strip() == head.text
        assert kept.add_checkpoint(client.ledger.checkpoint()) == place


def _write(folder: Path, documents: list[tuple[bytes, str]]) -> None:
    for body, reference in documents:
        ReceiptArchive(folder).add(_answer(body), reference=reference)


def _answer(body: bytes) -> Answer:
    read = json.loads(body)
    criteria = {each["id"]: each for each in read["data"]["criteria"]}
    return msgspec.convert({**read["data"], "criteria": criteria, "receipt": Receipt(read["receipt"])}, Answer)


def test_many_processes_and_threads_write_at_once(kept: ReceiptArchive) -> None:
    log = Log()
    documents = [(canonical(check(log, f"CASE-{n}")), f"CASE-{n}") for n in range(20)]
    kept.add_keys(log.jwks)
    context = multiprocessing.get_context("spawn")
    others = [context.Process(target=_write, args=(kept.folder, documents)) for _ in range(2)]
    for other in others:
        other.start()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda each: _write(kept.folder, [each]), documents * 3))
    for other in others:
        other.join(60)
        assert other.exitcode == 0
    found = list(kept.verify())
    assert len(found) == 20
    assert all(each.verified for each in found)
    assert not list(kept.folder.rglob("*.new"))


async def test_a_writer_that_dies_leaves_nothing_that_looks_like_a_receipt(
    client: Any, kept: ReceiptArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = await asked(client, "CASE-1")
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", lambda _: (_ for _ in ()).throw(OSError("no space left on device")))
        with pytest.raises(OSError, match="no space"):
            kept.add(answer, reference="CASE-1")
    assert list(kept.verify()) == []
    kept.add(answer, reference="CASE-1")
    assert [each.verified.id for each in kept.verify() if each.verified] == [answer.id]


# The commands


def test_the_command_verifies_an_archive(
    fake_xinyi: FakeXinyi, kept: ReceiptArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    with Xinyi() as client:
        for number, outcome in enumerate(("met", "met", "not_evidenced")):
            consent = fake_xinyi.consent("bike-deposit", outcome)
            answer = client.checks.create(scenario="bike-deposit", consent_id=consent.id, reference=f"R-{number}")
            place = kept.add(answer, reference=f"R-{number}")
    folder = str(kept.folder)
    assert main(["verify", "--archive", folder]) == 0
    assert capsys.readouterr().out == (
        "核验通过 3 份 (2 met, 1 not_evidenced)，未通过 0 份 / "
        "3 receipts verified (2 met, 1 not_evidenced), 0 not verified\n"
    )
    assert main(["verify", "--archive", folder, "--json"]) == 0
    assert len([json.loads(line) for line in capsys.readouterr().out.splitlines()]) == 3
    assert main(["verify", "--archive", folder, "--issuer", "https://another.example"]) == 1
    assert "issuer" in capsys.readouterr().err
    place.write_text(place.read_text().replace('"reference":"R-2"', '"reference":"R-3"'))
    assert main(["verify", "--archive", folder]) == 1
    said = capsys.readouterr()
    assert said.out == "核验通过 2 份 (2 met)，未通过 1 份 / 2 receipts verified (2 met), 1 not verified\n"
    assert f"not verified: {place}: reference:" in said.err
    assert main(["verify", "--archive", str(kept.folder / "nothing")]) == 2


def test_one_file_of_an_archive_verifies_with_the_keys_beside_it(
    fake_xinyi: FakeXinyi, kept: ReceiptArchive, capsys: pytest.CaptureFixture[str]
) -> None:
    consent = fake_xinyi.consent("microloan-prescreen")
    with Xinyi() as client:
        answer = client.checks.create(scenario="microloan-prescreen", consent_id=consent.id, reference="R")
        place = kept.add(answer, reference="R")
        assert main(["verify", str(place)]) == 2
        assert "ledger-jwks.json" in capsys.readouterr().err
        (place.parent / "ledger-jwks.json").write_text(json.dumps(client.ledger.jwks()))
    assert main(["verify", str(place)]) == 0
    said = capsys.readouterr().out
    assert "答复 / answer: 与记录一致 / is the one recorded" in said
    assert "业务编号 / reference: 与记录一致 / is the one recorded" in said


def test_the_command_verifies_that_the_log_only_grew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = Log()
    for number in range(7):
        log.append(b"%d" % number)
    proof = {"first": 4, "second": 7, "path": consistency_path(log, 4, 7)}
    files = {
        "first": log.checkpoint(4),
        "second": json.dumps({"data": {"checkpoint": log.checkpoint(7)}}),
        "proof": json.dumps({"data": proof}),
        "jwks": json.dumps(log.jwks),
        "forged": log.checkpoint(4, root_hash=b64(bytes(32))),
    }
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    names = {name: str(tmp_path / name) for name in files}
    rest = ["--proof", names["proof"], "--jwks", names["jwks"]]
    assert main(["consistency", names["first"], names["second"], *rest]) == 0
    assert "the log of 7 entries" in capsys.readouterr().out
    assert main(["consistency", names["forged"], names["second"], *rest]) == 1
    assert "consistency" in capsys.readouterr().err
    assert main(["consistency", names["first"], names["jwks"], *rest]) == 1
    assert main(["consistency", names["first"], names["second"], "--proof", names["jwks"], *rest[2:]]) == 2
