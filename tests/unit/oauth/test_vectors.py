"""The examples of the specifications."""

from datetime import UTC, datetime, timedelta

import pytest
from joserfc.jwk import ECKey

from tests.support.clock import ManualClock
from xinyi.oauth.dpop import ProofVerifier
from xinyi.oauth.jose import JwtProblem, thumbprint
from xinyi.oauth.pkce import is_answered
from xinyi.storage.cache import MemoryCache
from xinyi.storage.database import Database
from xinyi.storage.horizon import Horizon
from xinyi.storage.once import Uses

pytestmark = pytest.mark.anyio

RFC9449_TOKEN_PROOF = (
    "eyJ0eXAiOiJkcG9wK2p3dCIsImFsZyI6IkVTMjU2IiwiandrIjp7Imt0eSI6IkVDIiwieCI6Imw4dEZyaHgtMzR0VjNoUklDUkRZOXpDa0RscEJo"
    "RjQyVVFVZldWQVdCRnMiLCJ5IjoiOVZFNGpmX09rX282NHpiVFRsY3VOSmFqSG10NnY5VERWclUwQ2R2R1JEQSIsImNydiI6IlAtMjU2In19."
    "eyJqdGkiOiItQndDM0VTYzZhY2MybFRjIiwiaHRtIjoiUE9TVCIsImh0dSI6Imh0dHBzOi8vc2VydmVyLmV4YW1wbGUuY29tL3Rva2VuIiwiaWF0"
    "IjoxNTYyMjYyNjE2fQ."
    "2-GxA6T8lP4vfrg8v-FdWP0A0zdrj8igiMLvqRMUvwnQg4PtFLbdLXiOSsX0x7NVY-FNyJK70nfbV37xRZT3Lg"
)
RFC9449_THUMBPRINT = "0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"


def verifier(clock: ManualClock, database: Database) -> ProofVerifier:
    return ProofVerifier("https://server.example.com", clock, Uses(MemoryCache(clock), Horizon(database, clock), clock))


def test_pkce_of_rfc_7636_appendix_b():
    verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    assert is_answered(challenge, verifier)
    assert not is_answered(challenge, verifier[:-1] + "j")


async def test_the_proof_of_rfc_9449_section_4_1_and_its_thumbprint_of_section_6_1(database: Database):
    clock = ManualClock(datetime.fromtimestamp(1562262616, UTC))
    proofs = ProofVerifier(
        "https://server.example.com", clock, Uses(MemoryCache(clock), Horizon(database, clock), clock)
    )
    assert await proofs.verify([RFC9449_TOKEN_PROOF], "POST", "/token") == RFC9449_THUMBPRINT
    with pytest.raises(JwtProblem, match="used before"):
        await proofs.verify([RFC9449_TOKEN_PROOF], "POST", "/token")


async def test_a_proof_is_remembered_for_as_long_as_it_could_come_again(database: Database):
    clock = ManualClock(datetime.fromtimestamp(1562262616, UTC))
    proofs = ProofVerifier(
        "https://server.example.com", clock, Uses(MemoryCache(clock), Horizon(database, clock), clock)
    )
    await proofs.verify([RFC9449_TOKEN_PROOF], "POST", "/token")
    for seconds, problem in ((60, "used before"), (1, "behind")):
        clock.advance(timedelta(seconds=seconds))
        with pytest.raises(JwtProblem, match=problem):
            await proofs.verify([RFC9449_TOKEN_PROOF], "POST", "/token")


def test_thumbprints_agree_with_joserfc():
    key = ECKey.generate_key("P-256")
    assert thumbprint(key.as_dict(private=False)) == key.thumbprint()
