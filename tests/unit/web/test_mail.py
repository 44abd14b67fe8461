"""What counts as an address: what a mail can be sent to, and nothing that only looks like one."""

import pytest

from xinyi.web.mail import is_address


@pytest.mark.parametrize("address", ["resident@people.example", '"a.b"@people.example', "a+b@people.example"])
def test_an_address(address: str) -> None:
    assert is_address(address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "resident",
        "resident@",
        "@people.example",
        "who..ever@people.example",
        "a,b@people.example",
        "<a@people.example>",
        "a@people.example>",
        "a@people.example;b",
        "a@[",
        "(@people.example",
        "居民@people.example",
        "a@people.example\r\nBcc: b@people.example",
        "undisclosed:;@people.example",
        "=?utf-8?q?a?=@people.example",
    ],
)
def test_no_address(text: str) -> None:
    assert not is_address(text)
