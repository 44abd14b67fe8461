// openid-client 6, as its documentation shows it: the whole code flow, a check, a refresh; and the client's own token.
import * as client from 'openid-client';
import { person, privateKey, run } from './conversation.mjs';

await run(async ({ issuer, client_id, key, redirect_uri, scenario }) => {
  const config = await client.discovery(
    new URL(issuer), client_id, undefined, client.PrivateKeyJwt(await privateKey(key)),
    { algorithm: 'oauth2', execute: [client.allowInsecureRequests] }, // the test's server speaks http on the loopback
  );
  const DPoP = client.getDPoPHandle(config, await client.randomDPoPKeyPair('ES256'));

  const code_verifier = client.randomPKCECodeVerifier();
  const state = client.randomState();
  const url = await client.buildAuthorizationUrlWithPAR(config, {
    redirect_uri,
    state,
    code_challenge: await client.calculatePKCECodeChallenge(code_verifier),
    code_challenge_method: 'S256',
    authorization_details: JSON.stringify([{ type: 'credit_scenario_check', scenario }]),
  }, { DPoP });
  const back = await person(url);
  const tokens = await client.authorizationCodeGrant(
    config, back, { pkceCodeVerifier: code_verifier, expectedState: state }, undefined, { DPoP },
  );
  const [detail] = tokens.authorization_details;

  const check = (tokens, reference) => client.fetchProtectedResource(
    config, tokens.access_token, new URL('/v1/checks', issuer), 'POST',
    JSON.stringify({ scenario, consent_id: detail.consent_id, reference }),
    new Headers({ 'content-type': 'application/json' }), { DPoP },
  );
  const first = await check(tokens, 'INTEROP-1');

  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP });
  const second = await check(refreshed, 'INTEROP-2');

  const own = await client.clientCredentialsGrant(config, { scope: 'checks' }, { DPoP });
  const third = await check(own, 'INTEROP-3');

  const active = await client.tokenIntrospection(config, refreshed.access_token);
  await client.tokenRevocation(config, tokens.refresh_token);
  const gone = await client.tokenIntrospection(config, tokens.refresh_token);
  const refused = await client.refreshTokenGrant(config, tokens.refresh_token, undefined, { DPoP })
    .then(() => null, (error) => error.error);

  return {
    iss: back.searchParams.get('iss'),
    token_type: tokens.token_type,
    detail,
    checks: await Promise.all([first, second, third].map(async (answer) => [answer.status, (await answer.json()).data?.outcome])),
    own_scope: own.scope,
    active: [active.active, active.client_id, active.token_type],
    gone: gone.active,
    refused,
  };
});
