"""The commands that register partners and their clients."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey

from xinyi.cli import main
from xinyi.cli.words import HEADINGS

BANK = ("--kind", "bank", "--contact", "privacy@bank.example")
JWK = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k1"}


@pytest.fixture(autouse=True)
def _data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path / "var"))
    (tmp_path / "jwks.json").write_text(json.dumps({"keys": [JWK]}))
    monkeypatch.chdir(tmp_path)


def xinyi(*arguments: str) -> Result:
    return CliRunner().invoke(main, list(arguments))


def done(*arguments: str) -> str:
    result = xinyi(*arguments)
    assert result.exit_code == 0, result.output
    return result.stdout.strip()


def partner() -> str:
    return done("partners", "add", "Sample Bank", "--name-zh", "示例银行", *BANK)


def add_client(partner_id: str, *more: str) -> Result:
    return xinyi("clients", "add", "--partner", partner_id, "--name", "loans", "--jwks", "jwks.json", *more)


def test_a_partner_and_its_client_are_added_and_listed():
    partner_id = partner()
    added = add_client(
        partner_id,
        *("--redirect-uri", "https://bank.example/back", "--scenario", "personal-loan"),
        *("--scenario", "microloan-prescreen=tax-rating"),
    )
    assert added.exit_code == 0, added.output
    assert json.loads(done("partners", "list", "--json")) == [
        {
            "id": partner_id,
            "name": {"zh": "示例银行", "en": "Sample Bank"},
            "kind": "bank",
            "contact": "privacy@bank.example",
            "status": "active",
        }
    ]
    assert json.loads(done("clients", "list", "--partner", partner_id, "--json")) == [
        {
            "id": added.stdout.strip(),
            "partner_id": partner_id,
            "source_id": None,
            "name": "loans",
            "status": "active",
            "scopes": ["checks", "consents", "partner"],
            "jwks_uri": None,
            "redirect_uris": ["https://bank.example/back"],
            "scenarios": {"microloan-prescreen": ["tax-rating"], "personal-loan": None},
        }
    ]
    assert "示例银行" in done("partners", "list")
    assert "loans" in done("clients", "list")


def test_lists_that_go_elsewhere_than_a_terminal_are_whole_and_one_line_a_row():
    name = "示例 [bold] 银行 [/]" + "名" * 70
    partner_id = done("partners", "add", "--name-zh", name, "--name-en", "Sample " * 13 + "Bank", *BANK)
    client_id = add_client(
        partner_id, "--scenario", "personal-loan", "--scenario", "microloan-prescreen"
    ).stdout.strip()
    _, row = done("partners", "list").splitlines()
    assert row.split() == [partner_id, *name.split(), "/", *["Sample"] * 13, "Bank", *BANK[1::2], "active"]
    _, row = done("clients", "list").splitlines()
    assert row.split()[:2] == [client_id, partner_id]
    assert row.split()[-2:] == ["microloan-prescreen", "personal-loan"]


def test_a_name_is_enough_or_both_names_are():
    assert xinyi("partners", "add", "--name-zh", "示例银行", *BANK).exit_code == 2
    done("partners", "add", "--name-zh", "示例银行", "--name-en", "Sample Bank", *BANK)
    done("partners", "add", "Sample Bank", *BANK)


def test_a_kind_that_no_scenario_is_for_is_refused_and_the_kinds_are_named():
    result = xinyi("partners", "add", "Sample Bikes", "--kind", "bikes", "--contact", "privacy@bikes.example")
    assert result.exit_code == 2
    assert "bike-share" in result.output
    assert json.loads(done("partners", "list", "--json")) == []


def test_a_partner_says_how_people_reach_it():
    assert xinyi("partners", "add", "Sample Bank", "--kind", "bank").exit_code == 2
    assert xinyi("partners", "add", "Sample Bank", "--kind", "bank", "--contact", "a\nb").exit_code == 1


def test_a_partner_is_suspended_and_unsuspended_and_a_client_disabled():
    partner_id = partner()
    client_id = json.loads(add_client(partner_id, "--scenario", "personal-loan", "--json").stdout)["id"]
    assert xinyi("partners", "suspend", partner_id).exit_code == 2, "a reason is said"
    done("partners", "suspend", partner_id, "--reason", "its contract has ended")
    assert json.loads(done("partners", "list", "--json"))[0]["status"] == "suspended"
    done("partners", "unsuspend", partner_id, "--reason", "there is a new contract")
    assert json.loads(done("partners", "list", "--json"))[0]["status"] == "active"
    done("clients", "disable", client_id, "--reason", "its key has leaked")
    assert json.loads(done("clients", "list", "--json"))[0]["status"] == "disabled"


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (("--scenario", "nothing-like-that"), "there is no scenario nothing-like-that"),
        (("--scenario", "bike-deposit"), "bike-deposit is for bike-share; the partner is a bank"),
        (("--scenario", "microloan-prescreen=salary"), "doesn't tell salary"),
        (("--scenario", "personal-loan", "--redirect-uri", "https://bank.example/#there"), "no fragment"),
    ],
)
def test_what_cannot_be_given_is_said(options: tuple[str, ...], sentence: str):
    result = add_client(partner(), *options)
    assert result.exit_code == 1
    assert sentence in result.output
    assert json.loads(done("clients", "list", "--json")) == []


def test_a_file_that_is_no_jwk_set_is_said():
    partner_id = partner()
    Path("jwks.json").write_text("{")
    assert "isn't JSON" in add_client(partner_id, "--scenario", "personal-loan").output
    Path("jwks.json").write_text("{}")
    assert "JWK Set" in add_client(partner_id, "--scenario", "personal-loan").output


def test_a_partner_that_is_not_there_is_said():
    assert "there is no such partner" in add_client("prt_nobody", "--scenario", "personal-loan").output


def test_a_client_may_publish_its_keys_itself():
    partner_id = partner()
    add = ("clients", "add", "--partner", partner_id, "--name", "loans", "--scenario", "personal-loan")
    done(*add, "--jwks-uri", "https://bank.example/jwks.json")
    assert json.loads(done("clients", "list", "--json"))[0]["jwks_uri"] == "https://bank.example/jwks.json"
    refused = xinyi(*add, "--jwks-uri", "https://127.0.0.1/jwks.json")
    assert refused.exit_code == 1
    assert "jwks_uri: the host isn't at a public address" in refused.output
    for both_or_none in ((), ("--jwks", "jwks.json", "--jwks-uri", "https://bank.example/jwks.json")):
        assert "give either --jwks or --jwks-uri" in xinyi(*add, *both_or_none).output


def test_branches_are_added_listed_and_closed_for_a_reason() -> None:
    partner_id = partner()
    added = done(
        *("partners", "sub-party", "add", partner_id, "Sample Branch", "--name-zh", "示例支行"),
        *("--contact", "branch@bank.example", "--reason", "file 7"),
    )
    done("partners", "sub-party", "close", partner_id, added, "--reason", "moved")
    [listed] = json.loads(done("partners", "sub-party", "list", partner_id, "--json"))
    assert (listed["id"], listed["name"]["zh"], listed["status"]) == (added, "示例支行", "closed")
    acts = json.loads(done("audit", "acts", "--about", added, "--json"))
    assert [(each["act"], each["reason"]) for each in acts] == [
        ("sub_party.closed", "moved"),
        ("sub_party.added", "file 7"),
    ]
    assert xinyi("partners", "sub-party", "close", partner(), added, "--reason", "another's").exit_code == 1


def test_what_is_printed_is_in_chinese_first_and_in_english_second() -> None:
    partner_id = partner()
    headings, row = done("partners", "list").splitlines()
    assert headings.split("  ")[0] == "编号 / id"
    assert "示例银行 / Sample Bank" in row
    assert done("partners", "suspend", partner_id, "--reason", "x") == f"{partner_id}: 已暂停 / suspended"
    assert xinyi("partners", "show", "prt_nobody").output == "Error: 不存在 / there is no such partner\n"


def test_each_heading_has_its_chinese() -> None:
    assert all(re.search("[\u4e00-\u9fff]", zh) and not re.search("[a-z]", zh) for zh in HEADINGS.values())


def test_a_terminal_that_knows_no_chinese_still_shows_the_english() -> None:
    done("partners", "add", "Sample Bank", *BANK)
    command = [sys.executable, "-c", "from xinyi.cli import main; main()", "partners", "list"]
    environment = {**os.environ, "PYTHONIOENCODING": "ascii"}
    said = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert said.startswith("?? / id")


def test_the_operator_changes_a_clients_keys_at_once_and_that_stands_in_the_audit(tmp_path: Path):
    client_id = add_client(partner(), "--scenario", "personal-loan").stdout.strip()
    [first] = json.loads(done("clients", "keys", "list", client_id, "--json"))
    new = {**ECKey.generate_key("P-256").as_dict(private=False), "kid": "k2"}
    (tmp_path / "new.json").write_text(json.dumps({"keys": [new]}))
    alone = xinyi("clients", "keys", "remove", client_id, first["id"], "--reason", "leaked")
    assert (alone.exit_code, "only key that works" in alone.output) == (1, True)
    done("clients", "keys", "add", client_id, "--jwks", "new.json", "--reason", "asked by telephone")
    done("clients", "keys", "remove", client_id, first["id"], "--reason", "leaked")
    [second] = json.loads(done("clients", "keys", "list", client_id, "--json"))
    assert (second["kid"], second["works_from"]) == ("k2", second["added_at"])
    assert "k2" in done("clients", "keys", "list", client_id)

    acts = json.loads(done("audit", "acts", "--about", client_id, "--json"))
    assert [(each["act"], each["reason"]) for each in acts][:2] == [
        ("client.key_removed", "leaked"),
        ("client.key_added", "asked by telephone"),
    ]
    changes = json.loads(done("audit", "keys", "--client", client_id, "--json"))
    assert [(each["kid"], each["change"], each["made_by"]) for each in changes] == [
        ("k1", "removed", "operator"),
        ("k2", "added", "operator"),
        ("k1", "added", "operator"),
    ]
    assert client_id in done("audit", "keys")
    (tmp_path / "two.json").write_text(json.dumps({"keys": [JWK, new]}))
    two = xinyi("clients", "keys", "add", client_id, "--jwks", "two.json", "--reason", "x")
    assert (two.exit_code, "exactly one key" in two.output) == (1, True)
