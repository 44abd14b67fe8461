"""Subjects sign in at a real OpenID Connect provider (oidc-provider 9), and go on to what they came for."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import httpx
import pytest
from joserfc.jwk import ECKey
from msgspec import Struct

from tests.support.node import node
from tests.support.oauth import forms
from tests.support.server import LiveServer, running_server
from xinyi.app import create_app
from xinyi.consents.model import Consent
from xinyi.kernel.text import Text
from xinyi.sandbox import identities
from xinyi.settings import Settings
from xinyi.wiring import Services
from xinyi_sdk import Xinyi

REDIRECT_URI = "https://partner.example/back"
SCENARIOS = ("microloan-prescreen", "personal-loan")
ADULT = identities.person(2, date(1990, 5, 1), 7).value
CHILD = identities.person(2, date(2015, 5, 1), 7).value
REPRESENTATIVE = identities.person(2, date(1980, 5, 1), 8).value
COMPANY = identities.company(2, 7).value

ACCOUNTS: dict[str, dict[str, Any]] = {
    "adult": {"name": "示例登录人", "resident_id": ADULT, "email": "adult@people.example", "email_verified": True},
    "unverified": {
        "name": "示例登录人",
        "resident_id": ADULT,
        "email": "other@people.example",
        "email_verified": False,
    },
    "child": {"name": "示例少年", "resident_id": CHILD},
    "nameless": {},
    "wrong": {"name": "示例错号", "resident_id": ADULT[:-1] + ("0" if ADULT[-1] != "0" else "1")},
    "representative": {
        "name": "示例代表",
        "resident_id": REPRESENTATIVE,
        "uscc": COMPANY,
        "company_name": "示例登录企业",
    },
}


class Way(Struct, frozen=True):
    """How this server authenticates at the provider, and where the claims are."""

    name: str
    method: str
    in_id_token: bool


WAYS = [
    Way("key, claims from userinfo", "private_key_jwt", False),
    Way("secret, claims in the ID token", "client_secret_basic", True),
]


@dataclass(frozen=True)
class Stage:
    """A sandbox whose subjects sign in elsewhere, and a bank that asks."""

    server: LiveServer
    settings: Settings
    bank: Xinyi
    issuer: str

    def stored(self, identifier: str) -> tuple[str | None, list[Consent]]:
        """The address and the consents that the server keeps of a subject."""
        return self.server.call(self._stored, identifier)

    async def _stored(self, identifier: str) -> tuple[str | None, list[Consent]]:
        services = Services.build(self.settings)
        async with services.opened():
            async with services.database.read() as tx:
                subject = await services.subjects.find(tx, services.subjects.parse(identifier))
                assert subject is not None
                email = await services.subjects.email_of(tx, subject)
            return email, await services.consents.of_subject(subject)


@pytest.fixture(scope="module", params=WAYS, ids=lambda way: way.name)
def stage(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    way, folder = request.param, tmp_path_factory.mktemp("sandbox")
    own, bank_key = ECKey.generate_key("P-256"), ECKey.generate_key("P-256")
    key_file, secret_file = (folder / name for name in ("sign-in.pem", "sign-in.secret"))
    key_file.write_bytes(own.as_pem(private=True))
    secret_file.write_text("a-secret-for-the-tests-alone\n")
    for file in (key_file, secret_file):
        file.chmod(0o600)
    credential: dict[str, Any] = (
        {"jwks": {"keys": [{**own.as_dict(private=False), "kid": own.thumbprint(), "alg": "ES256"}]}}
        if way.method == "private_key_jwt"
        else {"client_secret": "a-secret-for-the-tests-alone"}
    )
    credential_file: dict[str, Any] = (
        {"sign_in_key_file": key_file} if way.method == "private_key_jwt" else {"sign_in_secret_file": secret_file}
    )
    given: dict[str, Settings] = {}
    with node("interop/oidc-provider.mjs") as provider:
        assert provider.stdin is not None
        assert provider.stdout is not None

        def make_app(url: str) -> Any:
            client = {
                "client_id": "credit",
                "token_endpoint_auth_method": way.method,
                "token_endpoint_auth_signing_alg": "ES256",
                "id_token_signed_response_alg": "ES256",
                "redirect_uris": [f"{url}/sign-in/back"],
                "backchannel_logout_uri": f"{url}/sign-in/back-channel-logout",
                "backchannel_logout_session_required": way.in_id_token,
                "scope": "openid profile email identity",
                **credential,
            }
            if way.method != "private_key_jwt":
                del client["token_endpoint_auth_signing_alg"]
            told = {"accounts": ACCOUNTS, "clients": [client], "in_id_token": way.in_id_token}
            provider.stdin.write(json.dumps(told) + "\n")  # type: ignore[union-attr]
            provider.stdin.flush()  # type: ignore[union-attr]
            said = provider.stdout.readline()  # type: ignore[union-attr]
            given["settings"] = Settings(
                data_dir=folder,
                issuer=url,
                sign_in_issuer=json.loads(said)["issuer"],
                sign_in_client_id="credit",
                sign_in_scopes="openid profile email identity",
                sign_in_identifier_claim="resident_id",
                sign_in_company_claim="uscc",
                **credential_file,
            )
            return create_app(given["settings"])

        with running_server(make_app) as server:
            settings = given["settings"]
            client_id = server.call(_bank, settings, bank_key)
            private = {**bank_key.as_dict(private=True), "kid": "bank-1"}
            with Xinyi(base_url=server.url, client_id=client_id, private_key=json.dumps(private)) as bank:
                yield Stage(server, settings, bank, settings.sign_in_issuer or "")


async def _bank(settings: Settings, key: ECKey) -> str:
    services = Services.build(settings)
    async with services.opened(), services.database.transaction() as tx:
        partner = await services.partners.add_partner(tx, Text("示例银行", "Sample Bank"), "bank", "a@bank.example")
        client = await services.partners.add_client(
            tx,
            partner.id,
            "bank",
            {"keys": [{**key.as_dict(private=False), "kid": "bank-1"}]},
            redirect_uris=[REDIRECT_URI],
            scenarios=dict.fromkeys(SCENARIOS),
        )
        return client.id


@pytest.fixture
def browser() -> Iterator[httpx.Client]:
    with httpx.Client(follow_redirects=True) as browser:
        yield browser


def to_provider(page: httpx.Response, kind: str = "natural_person") -> str:
    """The link of the sign-in page."""
    links = [unescape(link) for link in re.findall(r'href="(/sign-in/start[^"]*)"', page.text)]
    return urljoin(str(page.url), next(link for link in links if f"kind={kind}" in link))


def at_provider(browser: httpx.Client, page: httpx.Response, login: str, stop: str = "/sign-in/back") -> str:
    """Fills in the provider's pages, up to the address that leads back here."""
    browser.follow_redirects = False
    while True:
        while page.is_redirect:
            address = urljoin(str(page.url), page.headers["location"])
            if stop in address:
                browser.follow_redirects = True
                return address
            page = browser.get(address)
        form = forms(page)[0]
        page = browser.post(form.action, data={**form.fields, "login": login, "password": "any"})


def sign_in(browser: httpx.Client, page: httpx.Response, login: str, kind: str = "natural_person") -> httpx.Response:
    """All the way to the provider and back: what the browser then shows."""
    browser.follow_redirects = False
    left = browser.get(to_provider(page, kind))
    return browser.get(at_provider(browser, left, login))


def test_a_person_signs_in_to_their_own_page(stage: Stage, browser: httpx.Client):
    page = browser.get(f"{stage.server.url}/me")
    assert page.url.path == "/sign-in"
    assert "127.0.0.1" in page.text
    mine = sign_in(browser, page, "adult")
    assert (mine.status_code, mine.url.path) == (200, "/me")
    assert "示例登录人" in mine.text
    assert ADULT not in mine.text
    assert stage.stored(ADULT)[0] == "adult@people.example"


def test_an_address_that_the_provider_hasnt_verified_isnt_kept(stage: Stage, browser: httpx.Client):
    sign_in(browser, browser.get(f"{stage.server.url}/me"), "unverified")
    assert stage.stored(ADULT)[0] is None


def test_a_consent_goes_on_after_the_sign_in(stage: Stage, browser: httpx.Client):
    asked = stage.bank.consents.start(scenario="personal-loan", redirect_uri=REDIRECT_URI)
    consent = sign_in(browser, browser.get(asked.url), "adult")
    assert "示例银行" in consent.text
    browser.follow_redirects = False
    form = forms(consent)[-1]
    decided = browser.post(urljoin(str(consent.url), form.action), data={**form.fields, "decision": "agree"})
    given = stage.bank.consents.finish(decided.headers["location"], asked)
    assert [each.id for each in stage.stored(ADULT)[1]] == [given.id]


def test_a_representative_agrees_for_their_company(stage: Stage, browser: httpx.Client):
    asked = stage.bank.consents.start(scenario="microloan-prescreen", redirect_uri=REDIRECT_URI)
    consent = sign_in(browser, browser.get(asked.url), "representative", "legal_person")
    assert "示例登录企业" in consent.text
    assert "由示例代表代表" in consent.text
    browser.follow_redirects = False
    form = forms(consent)[-1]
    decided = browser.post(urljoin(str(consent.url), form.action), data={**form.fields, "decision": "agree"})
    given = stage.bank.consents.finish(decided.headers["location"], asked)
    [stored] = stage.stored(COMPANY)[1]
    assert (stored.id, stored.representative_id is not None) == (given.id, True)


def test_who_signs_out_at_the_provider_is_signed_out_here(stage: Stage, browser: httpx.Client):
    assert sign_in(browser, browser.get(f"{stage.server.url}/me"), "adult").url.path == "/me"
    leaving = forms(browser.get(f"{stage.issuer}/session/end"))[0]
    browser.post(leaving.action, data={**leaving.fields, "logout": "yes"})
    assert browser.get(f"{stage.server.url}/me").url.path == "/sign-in"


def test_nobody_need_sign_in_to_refuse(stage: Stage, browser: httpx.Client):
    asked = stage.bank.consents.start(scenario="personal-loan", redirect_uri=REDIRECT_URI)
    page = browser.get(asked.url)
    browser.follow_redirects = False
    form = forms(page)[-1]
    refused = browser.post(urljoin(str(page.url), form.action), data=form.fields)
    assert "error=access_denied" in refused.headers["location"]


@pytest.mark.parametrize(
    ("login", "kind", "told"),
    [
        ("child", "natural_person", "仅限年满十八周岁"),
        ("nameless", "natural_person", "无法确认您的身份"),
        ("wrong", "natural_person", "无法确认您的身份"),
        ("adult", "legal_person", "没有可代表的企业"),
    ],
)
def test_who_cant_be_a_subject_isnt_signed_in(stage: Stage, browser: httpx.Client, login: str, kind: str, told: str):
    page = sign_in(browser, browser.get(f"{stage.server.url}/me"), login, kind)
    assert (page.status_code, told in page.text) == (403, True)
    assert browser.get(f"{stage.server.url}/me").url.path == "/sign-in"
    assert not re.search(r"\d{17}[\dX]", page.text)


def test_an_answer_works_once_and_in_the_browser_that_went(stage: Stage, browser: httpx.Client):
    browser.follow_redirects = False
    left = browser.get(to_provider(browser.get(f"{stage.server.url}/sign-in")))
    back = at_provider(browser, left, "adult")
    with httpx.Client() as another:
        stolen = another.get(back)
    assert (stolen.status_code, "登录已过期" in stolen.text) == (403, True)
    first, again = browser.get(back), browser.get(back)
    assert (first.status_code, first.url.path) == (200, "/me")
    assert (again.status_code, "登录没有完成" in again.text) == (403, True), "the provider's code is spent"
    assert again.headers.get_list("set-cookie") == []


def test_who_turns_back_at_the_provider_may_try_again(stage: Stage, browser: httpx.Client):
    page = browser.get(to_provider(browser.get(f"{stage.server.url}/me")))
    abort = re.search(r'href="([^"]*/abort)"', page.text)
    assert abort
    told = browser.get(urljoin(str(page.url), unescape(abort[1])), headers={"accept-language": "en"})
    assert (told.status_code, "You aren&#39;t signed in" in told.text, 'href="/me"' in told.text) == (403, True, True)


def test_what_comes_back_in_anothers_name_is_refused(stage: Stage, browser: httpx.Client):
    browser.follow_redirects = False
    left = browser.get(to_provider(browser.get(f"{stage.server.url}/sign-in")))
    back = at_provider(browser, left, "adult")
    mixed = browser.get(re.sub(r"iss=[^&]*", "iss=https%3A%2F%2Fother.example", back))
    assert (mixed.status_code, "无法核实" in mixed.text) == (403, True)


def test_a_provider_that_is_away_is_told_on_a_page(tmp_path: Path, browser: httpx.Client):
    secret = tmp_path / "secret"
    secret.write_text("x")
    secret.chmod(0o600)

    def make_app(url: str) -> Any:
        return create_app(
            Settings(
                data_dir=tmp_path,
                issuer=url,
                sign_in_issuer="http://127.0.0.1:1",
                sign_in_client_id="credit",
                sign_in_identifier_claim="resident_id",
                sign_in_secret_file=secret,
            )
        )

    with running_server(make_app) as server:
        page = browser.get(to_provider(browser.get(f"{server.url}/sign-in")))
        assert (page.status_code, "身份认证服务暂不可用" in page.text) == (403, True)
