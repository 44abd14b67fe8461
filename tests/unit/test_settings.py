"""Settings that can't be meant are refused, and named."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.production import PRODUCTION
from xinyi.settings import Settings, SettingsError, load_settings

OPERATOR = ("operator_name_zh", "operator_name_en", "operator_contact")


def production(**more: Any) -> Settings:
    given = {**PRODUCTION, **more}
    return Settings(**{name: value for name, value in given.items() if value is not None})


def test_production_runs_under_its_operators_name():
    assert production().operator_name_zh == "示例市信用中心"


@pytest.mark.parametrize("setting", OPERATOR)
@pytest.mark.parametrize("value", [None, "", " "])
def test_production_never_goes_by_the_sandboxs_operator(setting: str, value: str | None):
    with pytest.raises(SettingsError, match=f"{setting} must be set in production"):
        production(**{setting: value})


def test_the_sandbox_needs_no_settings():
    assert Settings().is_sandbox


def test_what_is_no_setting_is_named_where_it_is_said(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"^XINYI_PROT: there is no such setting$"):
        load_settings(environ={"XINYI_PROT": "1", "XINYI_SDK_BASE_URL": "https://credit.example"})
    file = tmp_path / "xinyi.toml"
    file.write_text("prot = 1\n")
    with pytest.raises(SettingsError, match=r"xinyi\.toml: prot: there is no such setting$"):
        load_settings(file, {})


def test_paths_in_a_file_are_relative_to_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir("/")
    file = tmp_path / "xinyi.toml"
    file.write_text('data_dir = "data"\nscenarios_dir = "/set"\nmail_password_file = "password"\n')
    settings = load_settings(file, {})
    assert settings.data_dir == tmp_path / "data"
    assert settings.scenarios_dir == Path("/set")
    assert settings.mail_password_file == tmp_path / "password"
    assert load_settings(file, {"XINYI_DATA_DIR": "here"}).data_dir == Path("here")


@pytest.mark.parametrize("origins", ["http://127.0.0.1:9000/hook", "127.0.0.1:9000", "ftp://127.0.0.1"])
def test_what_partners_may_reach_on_the_loopback_is_origins(origins: str):
    with pytest.raises(SettingsError, match="outbound_loopback names origins"):
        Settings(outbound_loopback=origins)


def test_partners_reach_the_loopback_in_the_sandbox_alone():
    given = "http://127.0.0.1:9000 http://localhost:9001"
    assert Settings(outbound_loopback=given).outbound_loopback_origins == tuple(given.split())
    with pytest.raises(SettingsError, match="outbound_loopback is for the sandbox alone"):
        production(outbound_loopback=given)


SIGN_IN: dict[str, Any] = {
    "sign_in_issuer": "https://identity.example",
    "sign_in_client_id": "credit",
    "sign_in_identifier_claim": "resident_id",
    "sign_in_secret_file": Path("secret"),
}


def test_outside_the_sandbox_subjects_sign_in_at_a_provider():
    with pytest.raises(SettingsError, match="sign_in_issuer must be set in production"):
        production(sign_in_issuer=None)
    assert production().sign_in is not None
    assert Settings().sign_in is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sign_in_client_id": None}, "sign_in_client_id must be set"),
        ({"sign_in_identifier_claim": None}, "sign_in_identifier_claim must be set"),
        ({"sign_in_secret_file": None}, "either sign_in_key_file or sign_in_secret_file"),
        ({"sign_in_key_file": Path("key")}, "either sign_in_key_file or sign_in_secret_file"),
        ({"sign_in_issuer": "identity.example"}, "must be an address"),
        ({"sign_in_scopes": "profile"}, "must name openid"),
    ],
)
def test_a_provider_is_described_as_a_whole(wrong: dict[str, Any], told: str):
    with pytest.raises(SettingsError, match=told):
        Settings(**{**SIGN_IN, **wrong})


def test_outside_the_sandbox_the_provider_is_https():
    local = {**SIGN_IN, "sign_in_issuer": "http://127.0.0.1:9000"}
    assert Settings(**local).sign_in is not None
    with pytest.raises(SettingsError, match="https outside the sandbox"):
        production(sign_in_issuer="http://127.0.0.1:9000")
