"""Canaries: values planted where secrets and personal facts belong, and those who look for them where they don't.

A :class:`Cage` knows the planted values and the shapes of what may never be shown; it looks through a text and names
what it finds. :class:`Watch` holds a cage over the logs of the whole run of the tests, at DEBUG.
"""

import base64
import io
import re
import secrets
from collections.abc import Generator, Iterable, Iterator
from typing import Any, Final

import pytest
from stdnum.cn import uscc
from stdnum.iso7064 import mod_11_2

from xinyi.telemetry.logs import configure_logging

_JWT: Final = re.compile(r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}")
_WEBHOOK_SECRET: Final = re.compile(r"whsec_[\w+/=-]{16,}")
_OPAQUE: Final = re.compile(r"(?<![\w/+.-])[\w-]{43}(?![\w/+=-])")
_PERSON: Final = re.compile(r"(?<![0-9A-Za-z.])[0-9]{6}(?:19|20)[0-9]{2}[01][0-9][0-3][0-9]{4}[0-9Xx](?![0-9A-Za-z])")
_COMPANY: Final = re.compile(r"(?<![0-9A-Za-z.])[0-9ANY][0-9A-HJ-NP-RTUW-Y]{17}(?![0-9A-Za-z])")


class Cage:
    """The planted values, and the shapes."""

    def __init__(self, planted: Iterable[str] = ()) -> None:
        self._planted: dict[str, str] = {}
        for value in planted:
            self.plant(value)

    def plant(self, value: str) -> str:
        """Remembers ``value``, as it is and as it may be spelled: in base64 and in hexadecimal."""
        assert len(value) >= 6, "anything shorter is found by chance"
        raw = value.encode()
        for spelled in (value, raw.hex(), *_base64(raw)):
            self._planted[spelled] = value
        return value

    def new(self, what: str) -> str:
        """A fresh canary; ``what`` says in findings where it was planted."""
        return self.plant(f"canary-{what}-{secrets.token_hex(6)}")

    def planted_in(self, text: str) -> set[str]:
        """The planted values that stand in ``text``."""
        return {value for spelled, value in self._planted.items() if spelled in text}

    def found_in(self, text: str) -> set[str]:
        """What may not stand in ``text``: planted values, and whatever has the shape of a secret or an identifier."""
        return self.planted_in(text) | set(shapes(text))


def shapes(text: str) -> Iterator[str]:
    """Whatever in ``text`` has the shape of a token, a code, a cookie, a webhook's secret, or an identifier."""
    yield from _JWT.findall(text)
    yield from _WEBHOOK_SECRET.findall(text)
    yield from (each for each in _OPAQUE.findall(text) if _is_random(each))
    yield from (each for each in _PERSON.findall(text) if mod_11_2.is_valid(each.upper()))
    yield from (each for each in _COMPANY.findall(text) if uscc.is_valid(each))


def _is_random(text: str) -> bool:
    """Whether it is 256 bits rather than a long word: with capitals, small letters and digits, and a break in none."""
    return bool(re.search("[A-Z]", text) and re.search("[a-z]", text) and re.search("[0-9]", text))


def _base64(raw: bytes) -> Iterator[str]:
    """What base64 makes of ``raw`` wherever it begins in what is encoded, without the characters that others share."""
    for before in range(3):
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            yield text[(before * 8 + 5) // 6 : len(text) - 1]


class Watch:
    """A plugin of pytest: whatever is logged at DEBUG during a test, by us or a library, is looked through.

    The test that logged a secret fails, and with it the run.
    """

    def __init__(self) -> None:
        self.cage = Cage()
        self._log = io.StringIO()

    def look_at(self, text: str) -> None:
        """Looks through what another process logged."""
        self._log.write(text)

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_protocol(self) -> Generator[None, bool, bool]:
        self._log.seek(0)
        self._log.truncate()
        configure_logging("DEBUG", self._log)
        return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[Any]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if call.when == "teardown":
            found = sorted(self.cage.found_in(self._log.getvalue()))
            if found:
                report.outcome = "failed"
                report.longrepr = f"{item.nodeid} let these be logged: {', '.join(found)}"
        return report


watch: Final = Watch()
"""The one of this run: see ``conftest.py``."""
