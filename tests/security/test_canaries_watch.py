"""Those who look for secrets in the logs can find them: each is shown one on purpose."""

import base64
import logging
from types import SimpleNamespace
from typing import Any

import pytest
import structlog

from tests.support.canaries import Cage, Watch, shapes
from tests.support.world import COMPANY, PERSON
from xinyi.storage.opaque import new_opaque
from xinyi.telemetry.logs import log_unforeseen

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJjbGkifQ.c2lnbmF0dXJlLW9mLWl0"  # fmt: skip
SECRETS = {
    "a token": JWT,
    "a webhook's secret": "whsec_" + base64.b64encode(b"0123456789abcdefghijklmn").decode(),
    "a code, a cookie, a request_uri": new_opaque(),
    "a person's identifier": PERSON.value,
    "a company's identifier": COMPANY.value,
}


@pytest.mark.parametrize("what", SECRETS)
def test_each_shape_is_known_in_the_midst_of_other_text(what: str):
    secret = SECRETS[what]
    for text in (secret, f'{{"said": "it was {secret}."}}', f"urn:x:{secret}", f"a={secret}&b=1"):
        assert list(shapes(text)) == [secret], text


@pytest.mark.parametrize(
    "text",
    [
        "GET /v1/checks/{check_id} 404",
        "chk_01kb0x4m9v5w8q2r7s3t6y1zab",
        "6ba7b814-9dad-41d1-80b4-00c04fd430c8",
        "/x/pytest-of-root/test_it_is_a_long_name_with_words_0/xinyi.py:12 run_the_whole_thing",
        "2026-11-02T08:00:00.000000Z",
    ],
)
def test_what_is_no_secret_isnt_taken_for_one(text: str):
    assert not list(shapes(text))


def test_a_planted_value_is_known_however_it_is_spelled():
    cage = Cage()
    value = cage.new("reference")
    for before in ("", "a", "ab"):
        raw = f"{before}{value}zz".encode()
        for spelled in (
            raw.decode(),
            raw.hex(),
            base64.b64encode(raw).decode(),
            base64.urlsafe_b64encode(raw).decode(),
        ):
            assert cage.planted_in(spelled) == {value}
    assert not cage.planted_in(value[:-1])


def report_of(watch: Watch, during: Any) -> Any:
    """The report of a test that did this while ``watch`` was on."""
    protocol: Any = watch.pytest_runtest_protocol()
    next(protocol)
    during()
    item, call = SimpleNamespace(nodeid="tests/x.py::test_x"), SimpleNamespace(when="teardown")
    making: Any = watch.pytest_runtest_makereport(item, call)  # type: ignore[arg-type]
    next(making)
    with pytest.raises(StopIteration) as made:
        making.send(SimpleNamespace(outcome="passed", longrepr=None))
    return made.value.value


def told(logger: str, text: str) -> None:
    logging.getLogger(logger).debug(text)


@pytest.mark.parametrize("what", SECRETS)
def test_a_test_that_lets_a_secret_be_logged_fails(what: str):
    secret = SECRETS[what]
    for during in (
        lambda: structlog.get_logger().debug("said", it=secret),
        lambda: told("asyncio", f"it is {secret}"),
        lambda: told("uvicorn.error", secret),
    ):
        report = report_of(Watch(), during)
        assert report.outcome == "failed"
        assert secret in report.longrepr


def test_another_processs_log_counts_too():
    watch = Watch()
    assert report_of(watch, lambda: watch.look_at(JWT)).outcome == "failed"


def test_what_libraries_fill_in_and_what_exceptions_say_isnt_logged():
    def during() -> None:
        logging.getLogger("aiosqlite").debug("executing %s", JWT)
        try:
            raise ValueError(JWT)
        except ValueError as error:
            logging.getLogger("uvicorn.error").exception("Exception in ASGI application\n")
            log_unforeseen(error, "6ba7b814-9dad-41d1-80b4-00c04fd430c8")

    watch = Watch()
    assert report_of(watch, during).outcome == "passed"
    log = watch._log.getvalue()
    assert '"said": "executing %s"' in log
    assert log.count('"error": "ValueError"') == 2
    assert '"interaction_id": "6ba7b814-9dad-41d1-80b4-00c04fd430c8"' in log
