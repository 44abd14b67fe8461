// An OpenID Connect provider (oidc-provider 9) for people to sign in at, with its own pages and two clients.
//
// Reads one line of JSON: the accounts' claims by login, the clients, and the claims that a scope brings. Then it
// listens on a free port of the loopback, says {"issuer": URL}, and goes on until it is killed.
import { createInterface } from 'node:readline';
import { createServer } from 'node:http';
import { Provider } from 'oidc-provider';

const { value } = await createInterface({ input: process.stdin })[Symbol.asyncIterator]().next();
const { accounts, clients, in_id_token } = JSON.parse(value);

const server = createServer();
await new Promise((resolve) => { server.listen(0, '127.0.0.1', resolve); });
const issuer = `http://127.0.0.1:${server.address().port}`;

const { privateKey } = await crypto.subtle.generateKey({ name: 'ECDSA', namedCurve: 'P-256' }, true, ['sign', 'verify']);
const provider = new Provider(issuer, {
  clients,
  jwks: { keys: [{ ...await crypto.subtle.exportKey('jwk', privateKey), key_ops: undefined, ext: undefined, kid: 'op-1', alg: 'ES256', use: 'sig' }] },
  findAccount: (_, sub) => (accounts[sub] ? { accountId: sub, claims: () => ({ sub, ...accounts[sub] }) } : undefined),
  claims: {
    openid: ['sub'], profile: ['name'], email: ['email', 'email_verified'],
    identity: ['resident_id', 'uscc', 'company_name'],
  },
  features: { backchannelLogout: { enabled: true } },
  fetch: (url, options) => fetch(url, { ...options, dispatcher: undefined }), // the default refuses the loopback
  conformIdTokenClaims: !in_id_token,
  cookies: { keys: ['for the tests'] },
  pkce: { required: () => true },
});
server.on('request', provider.callback());
process.stdout.write(`${JSON.stringify({ issuer })}\n`);
