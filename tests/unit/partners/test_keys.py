"""What a client's JWK Set must be like."""

from typing import Any

import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from xinyi.kernel.errors import Code, XinyiError
from xinyi.partners.keys import check_jwks

EC = ECKey.generate_key("P-256")
RSA = RSAKey.generate_key(2048)
WEAK_RSA = {
    "kty": "RSA",
    "e": "AQAB",
    "n": "sXchDaQebHnPiGvyDOAT4saGEUetSyo9MKLOoWFsueri23bOdgWp4Dy1WlUzewbgBHod5pcM9H95GQRV3JDXboIRROSBigeC5yjU1hGzHHy"
    "XssRHgvcxFxpHgmDiMoHYOJpYf_Bbh-SgJ3mPG0J9wKMcBR04fMvKtPVb2e2gK4c",
}


def public(key: ECKey | OKPKey | RSAKey, **members: Any) -> dict[str, Any]:
    return {**key.as_dict(private=False), "kid": "k1", **members}


@pytest.mark.parametrize(
    "jwk",
    [
        public(EC),
        public(EC, alg="ES256", use="sig"),
        public(OKPKey.generate_key("Ed25519"), alg="EdDSA"),
        public(OKPKey.generate_key("Ed25519"), alg="Ed25519"),
        public(RSA, alg="PS256"),
    ],
)
def test_public_keys_of_the_three_algorithms_are_taken(jwk: dict[str, Any]):
    assert check_jwks({"keys": [jwk]})["keys"] == [{**jwk, "use": "sig"}]


def test_members_that_say_more_than_the_key_are_dropped():
    kept = check_jwks({"keys": [public(EC, x5u="https://keys.example/", key_ops=["verify"])]})["keys"][0]
    assert kept.keys() == {"kty", "crv", "x", "y", "kid", "use"}


@pytest.mark.parametrize(
    ("document", "source"),
    [
        (None, "/keys"),
        ([], "/keys"),
        ({"keys": {}}, "/keys"),
        ({"keys": []}, "/keys"),
        ({"keys": [public(EC)] * 17}, "/keys"),
        ({"keys": [public(EC), public(RSA)]}, "/keys"),
        ({"keys": ["key"]}, "/keys/0"),
        ({"keys": [{**EC.as_dict(private=True), "kid": "k1"}]}, "/keys/0"),
        ({"keys": [{**OctKey.generate_key(256).as_dict(), "kid": "k1"}]}, "/keys/0"),
        ({"keys": [{"kty": "oct", "kid": "k1"}]}, "/keys/0/kty"),
        ({"keys": [{"kty": ["EC"], "kid": "k1"}]}, "/keys/0/kty"),
        ({"keys": [public(ECKey.generate_key("P-384"))]}, "/keys/0/crv"),
        ({"keys": [public(OKPKey.generate_key("X25519"))]}, "/keys/0/crv"),
        ({"keys": [public(OKPKey.generate_key("Ed448"))]}, "/keys/0/crv"),
        ({"keys": [public(EC, use="enc")]}, "/keys/0/use"),
        ({"keys": [public(RSA, alg="RS256")]}, "/keys/0/alg"),
        ({"keys": [public(RSA, alg=["PS256"])]}, "/keys/0/alg"),
        ({"keys": [public(EC, kid="")]}, "/keys/0/kid"),
        ({"keys": [public(EC, kid=7)]}, "/keys/0/kid"),
        ({"keys": [EC.as_dict(private=False)]}, "/keys/0/kid"),
        ({"keys": [public(EC, x="AAAA")]}, "/keys/0"),
        ({"keys": [public(EC, y=None)]}, "/keys/0"),
        ({"keys": [{**WEAK_RSA, "kid": "k1"}]}, "/keys/0"),
    ],
)
def test_anything_else_is_refused_with_a_pointer(document: Any, source: str):
    with pytest.raises(XinyiError) as refused:
        check_jwks(document)
    assert (refused.value.code, refused.value.source) == (Code.INVALID, source)
