// oauth4webapi 3, step by step; and the same library as a resource server of somebody else's, that judges our tokens.
import * as oauth from 'oauth4webapi';
import { person, privateKey, run } from './conversation.mjs';

const insecure = { [oauth.allowInsecureRequests]: true }; // the test's server speaks http on the loopback

await run(async ({ issuer, client_id, key, redirect_uri, scenario }) => {
  const server = new URL(issuer);
  const as = await oauth.processDiscoveryResponse(
    server, await oauth.discoveryRequest(server, { algorithm: 'oauth2', ...insecure }),
  );
  const resource = await oauth.processResourceDiscoveryResponse(
    server, await oauth.resourceDiscoveryRequest(server, insecure),
  );
  const client = { client_id };
  const authentication = oauth.PrivateKeyJwt(await privateKey(key));
  const DPoP = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const options = { DPoP, ...insecure };

  const verifier = oauth.generateRandomCodeVerifier();
  const state = oauth.generateRandomState();
  const pushed = await oauth.processPushedAuthorizationResponse(as, client, await oauth.pushedAuthorizationRequest(
    as, client, authentication, {
      response_type: 'code',
      redirect_uri,
      state,
      code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
      code_challenge_method: 'S256',
      authorization_details: JSON.stringify([{ type: 'credit_scenario_check', scenario }]),
    }, options,
  ));
  const url = new URL(as.authorization_endpoint);
  url.search = new URLSearchParams({ client_id, request_uri: pushed.request_uri });
  const parameters = oauth.validateAuthResponse(as, client, await person(url), state);
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, await oauth.authorizationCodeGrantRequest(
    as, client, authentication, parameters, redirect_uri, verifier, options,
  ));
  const [detail] = tokens.authorization_details;

  const answer = await oauth.protectedResourceRequest(
    tokens.access_token, 'POST', new URL('/v1/checks', issuer), new Headers({ 'content-type': 'application/json' }),
    JSON.stringify({ scenario, consent_id: detail.consent_id, reference: 'INTEROP-1' }), options,
  );
  const refreshed = await oauth.processRefreshTokenResponse(as, client, await oauth.refreshTokenGrantRequest(
    as, client, authentication, tokens.refresh_token, options,
  ));
  const own = await oauth.processClientCredentialsResponse(as, client, await oauth.clientCredentialsGrantRequest(
    as, client, authentication, {}, options,
  ));

  // The other resource server: it knows the issuer's metadata and keys, and nothing else.
  const judge = async (token, holder = DPoP, method = 'GET') => {
    const request = new Request(new URL('/elsewhere', issuer), { method: 'GET' });
    const headers = new Headers();
    await holder.addProof(new URL(request.url), headers, method, token);
    headers.set('authorization', `DPoP ${token}`);
    const claims = await oauth.validateJwtAccessToken(as, new Request(request, { headers }), resource.resource, {
      requireDPoP: true, signingAlgorithms: ['ES256'], ...insecure,
    });
    return claims;
  };
  const refusal = (promise) => promise.then(() => null, (error) => error.code ?? error.name);
  const stranger = oauth.DPoP(client, await oauth.generateKeyPair('ES256'));
  const [head, body] = own.access_token.split('.');
  const judged = await judge(tokens.access_token);

  const introspected = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(
    as, client, authentication, refreshed.access_token, insecure,
  ));
  await oauth.processRevocationResponse(await oauth.revocationRequest(
    as, client, authentication, refreshed.access_token, insecure,
  ));
  const revoked = await oauth.processIntrospectionResponse(as, client, await oauth.introspectionRequest(
    as, client, authentication, refreshed.access_token, insecure,
  ));

  return {
    detail,
    check: [answer.status, (await answer.json()).data?.outcome],
    judged: { client_id: judged.client_id, detail: judged.authorization_details[0], aud: judged.aud },
    own: (await judge(own.access_token)).scope,
    refreshed: (await judge(refreshed.access_token)).sub === judged.sub,
    refused: {
      stranger: await refusal(judge(tokens.access_token, stranger)),
      method: await refusal(judge(tokens.access_token, DPoP, 'POST')),
      forged: await refusal(judge(`${head}.${body}.${tokens.access_token.split('.')[2]}`)),
    },
    introspected: introspected.active,
    revoked: revoked.active,
  };
});
