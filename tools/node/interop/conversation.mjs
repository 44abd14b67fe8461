// How a client here speaks with the test that runs it: one JSON object a line.
//
// The test tells what to use (issuer, client id, key, …) in its first line. When the client has made the address that a
// person must open, it says {"open": URL}; the test is the person, and answers {"back": URL} with where the browser came
// back to. The last line is {"result": …}, or {"error": …}.
import { createInterface } from 'node:readline';

const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();

async function heard() {
  return JSON.parse((await lines.next()).value);
}

function say(what) {
  process.stdout.write(`${JSON.stringify(what)}\n`);
}

export async function person(url) {
  say({ open: url.href });
  return new URL((await heard()).back);
}

export async function run(client) {
  try {
    say({ result: await client(await heard()) });
  } catch (error) {
    say({ error: `${error.name}: ${error.message}`, code: error.code, cause: String(error.cause?.error ?? error.cause) });
  }
  process.exit();
}

export async function privateKey(jwk) {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' };
  return { key: await crypto.subtle.importKey('jwk', jwk, algorithm, false, ['sign']), kid: jwk.kid };
}
