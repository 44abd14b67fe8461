"""openid-client 6 and oauth4webapi 3, unchanged, from discovery to the check; the latter also judges our tokens."""

from tests.interop.conftest import SCENARIO, Stage, agrees
from tests.support.node import converse


def test_openid_client_runs_the_whole_flow(stage: Stage):
    result = converse("openid-client", stage.told(), agrees)
    detail = result["detail"]
    assert (detail["type"], detail["scenario"]) == ("credit_scenario_check", SCENARIO)
    assert detail["consent_id"].startswith("cns_")
    assert result["iss"] == stage.issuer
    assert result["token_type"] == "dpop"  # the library's lower case
    assert result["checks"] == [[200, "met"]] * 3
    assert result["own_scope"] == "checks"
    assert result["active"] == [True, stage.client_id, "DPoP"]
    assert result["gone"] is False
    assert result["refused"] == "invalid_grant"


def test_oauth4webapi_runs_the_whole_flow_and_judges_our_tokens(stage: Stage):
    result = converse("oauth4webapi", stage.told(), agrees)
    assert result["check"] == [200, "met"]
    assert result["judged"] == {"client_id": stage.client_id, "detail": result["detail"], "aud": stage.issuer}
    assert result["own"] == "checks consents partner"
    assert result["refreshed"] is True
    assert result["refused"] == {
        "stranger": "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
        "method": "OAUTH_JWT_CLAIM_COMPARISON_FAILED",
        "forged": "OAUTH_INVALID_RESPONSE",
    }
    assert (result["introspected"], result["revoked"]) == (True, False)
