"""The signed copy of a written consent verifies with the log's keys alone, and no changed one does."""

import hashlib
from typing import Any

import pytest
from joserfc import jws
from joserfc.jwk import ECKey

from tests.sdk.platform import ISSUER, NOW, Log, b64, canonical
from xinyi_sdk import CopyInvalid, verify_consent_copy

TEXT = "示例小微企业甲同意示例银行核验……"


def signed(log: Log, header: dict[str, Any] | None = None, **changes: Any) -> str:
    payload = {
        "iss": ISSUER,
        "consent_id": "cns_1",
        "partner_id": "prt_1",
        "partner": "示例银行",
        "subject": "psn_1",
        "scenario": {"id": "microloan-prescreen", "version": 1, "digest": "sha-256:AAAA"},
        "language": "zh",
        "authorised_at": "2026-11-02T07:59:00Z",
        "expires_at": "2027-01-31T07:59:00Z",
        "notice_digest": "sha-256:AAAA",
        "text_digest": "sha-256:" + b64(hashlib.sha256(TEXT.encode()).digest()),
        "text": TEXT,
        "statement": {"zh": "……", "en": "…"},
        "signed_at": NOW.isoformat(),
        "later": "a member that this version doesn't know",
        **changes,
    }
    protected = {"alg": "ES256", "typ": "xinyi-consent+jws", "kid": log.key.kid, **(header or {})}
    return jws.serialize_compact(protected, canonical(payload), log.key, algorithms=["ES256"])


def test_a_copy_says_who_agreed_to_what_and_when() -> None:
    log = Log()
    copy = verify_consent_copy(signed(log), log.jwks, issuer=ISSUER)
    assert (copy.consent_id, copy.text, copy.signed_at, copy.statement.en) == ("cns_1", TEXT, NOW, "…")


@pytest.mark.parametrize(
    ("header", "changes", "reason"),
    [
        ({"typ": "xinyi-checkpoint+jws"}, {}, "form"),
        ({"kid": "another"}, {}, "key"),
        ({}, {"text": TEXT + "！"}, "text"),
        ({}, {"signed_at": "2026-11-02T06:00:00Z"}, "key"),
        ({}, {"iss": "https://another.example"}, "issuer"),
        ({}, {"scenario": None}, "form"),
    ],
)
def test_anything_else_proves_nothing(header: dict[str, Any], changes: dict[str, Any], reason: str) -> None:
    log = Log()
    with pytest.raises(CopyInvalid) as caught:
        verify_consent_copy(signed(log, header, **changes), log.jwks, issuer=ISSUER)
    assert caught.value.reason == reason


def test_another_key_of_the_same_name_doesnt_sign() -> None:
    log, other = Log(), Log()
    other.key = ECKey.import_key({**other.key.as_dict(private=True), "kid": str(log.key.kid)})
    with pytest.raises(CopyInvalid, match="signature"):
        verify_consent_copy(signed(other), log.jwks)
