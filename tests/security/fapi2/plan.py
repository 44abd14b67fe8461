"""The modules of the OpenID Foundation's two plans, and the page that tells which test does what each does.

They are those that the variants ``plain_oauth``, ``private_key_jwt``, ``dpop`` and ``plain_fapi`` (or
``fapi_client_credentials_grant``) select. A module's test has the module's name, in Python's spelling.
"""

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).resolve().parents[3] / "docs" / "reference" / "fapi2.md"


class Plan(StrEnum):
    """A plan, by what its clients do to get a token."""

    CODE = "fapi2-security-profile-final-test-plan"
    CREDENTIALS = "fapi2-security-profile-final-client-credentials-grant-test-plan"


_BOTH: Final = [
    "fapi2-security-profile-final-discovery-end-point-verification",
    "fapi2-security-profile-final-happy-flow",
    "fapi2-security-profile-final-access-token-type-header-case-sensitivity",
    "fapi2-security-profile-final-dpop-negative-tests",
    "fapi2-security-profile-final-check-dpop-proof-nbf-exp",
    "fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-before-succeeds",
    "fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-after-succeeds",
    "fapi2-security-profile-final-ensure-client-id-in-token-endpoint",
    "fapi2-security-profile-final-ensure-holder-of-key-required",
    "fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails",
    "fapi2-security-profile-final-ensure-client-assertion-in-token-endpoint",
    "fapi2-security-profile-final-ensure-client-assertion-with-exp-is-5-minutes-in-past-fails",
    "fapi2-security-profile-final-ensure-client-assertion-with-wrong-aud-fails",
    "fapi2-security-profile-final-ensure-client-assertion-with-no-sub-fails",
]

_CODE_ALONE: Final = [
    "fapi2-security-profile-final-user-rejects-authentication",
    "fapi2-security-profile-final-refresh-token",
    "fapi2-security-profile-final-plain-fapi-tolerate-unregistered-redirect-uri",
    "fapi2-security-profile-final-state-only-outside-request-object-not-used",
    "fapi2-security-profile-final-attempt-reuse-authorization-code-after-one-second",
    "fapi2-security-profile-final-incorrect-pkce-code-verifier-rejected",
    "fapi2-security-profile-final-ensure-authorization-request-without-state-success",
    "fapi2-security-profile-final-ensure-other-scope-order-succeeds",
    "fapi2-security-profile-final-ensure-mismatched-dpop-jkt-fails",
    "fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt",
    "fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-jkt",
    "fapi2-security-profile-final-ensure-dpopproof-at-par-endpoint-binding-success",
    "fapi2-security-profile-final-ensure-dpop-auth-code-binding-success",
    "fapi2-security-profile-final-ensure-different-state-inside-and-outside-request-object",
    "fapi2-security-profile-final-ensure-authorization-request-with-long-state",
    "fapi2-security-profile-final-ensure-request-object-without-redirect-uri-fails",
    "fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails",
    "fapi2-security-profile-final-ensure-redirect-uri-in-authorization-request",
    "fapi2-security-profile-final-ensure-response-type-code-idtoken-fails",
    "fapi2-security-profile-final-ensure-response-type-token-fails",
    "fapi2-security-profile-final-ensure-authorization-code-is-bound-to-client",
    "fapi2-security-profile-final-ensure-token-endpoint-fails-with-expired-auth-code",
    "fapi2-security-profile-final-ensure-pkce-code-verifier-required",
    "fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds",
    "fapi2-security-profile-final-par-attempt-reuse-request_uri",
    "fapi2-security-profile-final-par-attempt-to-use-expired-request_uri",
    "fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted",
    "fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails",
    "fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client",
    "fapi2-security-profile-final-par-authorization-request-containing-request_uri-form-param",
    "fapi2-security-profile-final-par-attempt-invalid-http-method",
    "fapi2-security-profile-final-par-ensure-pkce-required",
    "fapi2-security-profile-final-par-plain-pkce-rejected",
    "fapi2-security-profile-final-par-without-duplicate-parameters",
    "fapi2-security-profile-final-par-test-array-as-audience-fails",
    "fapi2-security-profile-final-par-test-par-endpoint-url-as-audience-fails",
    "fapi2-security-profile-final-par-test-token-endpoint-url-as-audience-fails",
]

MODULES: Final[Mapping[str, tuple[Plan, ...]]] = {
    **dict.fromkeys(_BOTH, (Plan.CODE, Plan.CREDENTIALS)),
    **dict.fromkeys(_CODE_ALONE, (Plan.CODE,)),
}
"""Each module's full name, with the plans that run it."""


def test_name(module: str) -> str:
    """The name of the module's test."""
    return "test_" + module.lower().replace("-", "_")


test_name.__test__ = False  # type: ignore[attr-defined]  # pytest takes everything that begins like a test


def page(tests: Mapping[str, str], results: Mapping[str, str]) -> str:
    """``docs/reference/fapi2.md``. ``tests``: the file of each test by its name; ``results``: how each came out."""
    rows = [_row(module, plans, tests, results) for module, plans in MODULES.items()]
    plans = [f"- **{plan.name.lower()}**: `{plan.value}`, {_count(plan)} modules" for plan in Plan]
    return "\n".join([_HEAD, *plans, "", _TABLE, *rows, ""])


def _row(module: str, plans: tuple[Plan, ...], tests: Mapping[str, str], results: Mapping[str, str]) -> str:
    test = test_name(module)
    where = f"[{tests[test]}](../../tests/security/fapi2/{tests[test]})" if test in tests else "none"
    named = ", ".join(plan.name.lower() for plan in plans)
    return f"| `{module}` | {named} | {where} | {results.get(test, 'not run')} |"


def _count(plan: Plan) -> int:
    return sum(plan in plans for plans in MODULES.values())


_HEAD: Final = """\
# FAPI 2.0: the modules of the conformance plan, as tests

The OpenID Foundation's conformance suite tries a server by modules. For each module of its two plans for the FAPI 2.0
security profile (final) that applies to plain OAuth with `private_key_jwt` and DPoP, a test of ours has the module's
name and does what the module does, within the process and on a clock that the test moves. That is no certification, and
none is claimed: nobody but us ran these tests.

A module's test is called after it, with underscores for hyphens. `make fapi2` runs them all and writes this page;
`make test` runs them too, and fails when this page isn't what such a run would write. Two things about modules aren't
tried here, since they are the proxy's in front of the server: the TLS versions and ciphers of
`ensure-holder-of-key-required`, and screenshots of error pages.
"""

_TABLE: Final = """\
| module | plan | test in | result |
|---|---|---|---|"""
