"""Which redirect URIs may be registered."""

import pytest

from xinyi.kernel.errors import XinyiError
from xinyi.partners.redirects import check_redirect_uri


@pytest.mark.parametrize("uri", ["https://bank.example/back", "https://bank.example:8443/back?from=xinyi"])
def test_https_is_taken_everywhere(uri: str):
    assert check_redirect_uri(uri, sandbox=False) == uri


@pytest.mark.parametrize("uri", ["http://127.0.0.1:9000/back", "http://[::1]/back", "http://localhost/back"])
def test_http_on_the_loopback_is_for_the_sandbox(uri: str):
    assert check_redirect_uri(uri, sandbox=True) == uri
    with pytest.raises(XinyiError):
        check_redirect_uri(uri, sandbox=False)


@pytest.mark.parametrize(
    "uri",
    [
        "http://bank.example/back",
        "https://bank.example/back#",
        "https://bank.example/back#there",
        "https://user@bank.example/back",
        "https:///back",
        "https://bank.example:port/back",
        "https://bank.example:/back",
        "https://bank.example;sandbox/back",
        "https://bank.example,default-src/back",
        "https://'self'/back",
        "https://*/back",
        "https://*.example/back",
        "https://-bank.example/back",
        "https://[::2]/back",
        "https://[::1/back",
        "https://银行.example/back",
        "https://bank.example/a b",
        "https://bank.example/\x00",
        "javascript:alert(1)",
        "bank.example/back",
        "https://bank.example/" + "x" * 2000,
    ],
)
def test_anything_else_is_refused(uri: str):
    with pytest.raises(XinyiError):
        check_redirect_uri(uri, sandbox=True)
