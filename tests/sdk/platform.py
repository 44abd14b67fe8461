"""A small stand-in for the platform: strict where it counts, and as troublesome as a test asks.

It is written from the RFCs and the API's description, not from the SDK, and its tree is pymerkle's.
"""

import hashlib
import json
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from pymerkle import InmemoryTree

ISSUER = "https://xinyi.example"
CLIENT = "cli_00000000000000000000000001"
CONSENT = "cns_00000000000000000000000001"
NOW = datetime(2026, 11, 2, 8, 0, tzinfo=UTC)


def b64(data: bytes) -> str:
    return urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text: str) -> bytes:
    return urlsafe_b64decode(text + "=" * (-len(text) % 4))


def canonical(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def sha256(data: bytes) -> str:
    return b64(hashlib.sha256(data).digest())


class Time:
    """The test's time: only sleeping moves it."""

    def __init__(self) -> None:
        self.seconds = NOW.timestamp()
        self.slept: list[float] = []

    def __call__(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Log:
    """An append-only log and its key."""

    def __init__(self) -> None:
        self.key = ECKey.generate_key("P-256", auto_kid=True)
        self.tree = InmemoryTree(algorithm="sha256")
        self.log_id = "log_00000000000000000000000001"

    @property
    def jwks(self) -> dict[str, Any]:
        public = self.key.as_dict(private=False)
        return {
            "keys": [
                {**public, "use": "sig", "alg": "ES256", "xinyi_not_before": int(NOW.timestamp()) - 3600},
                ECKey.generate_key("P-256", auto_kid=True).as_dict(private=False),
            ]
        }

    def append(self, entry: bytes) -> int:
        return int(self.tree.append_entry(entry)) - 1

    def proof(self, index: int, size: int) -> dict[str, Any]:
        siblings = self.tree.prove_inclusion(index + 1, size).path[1:]
        return {"leaf_index": index, "tree_size": size, "path": [b64(node) for node in siblings]}

    def checkpoint(self, size: int, **other: Any) -> str:
        header = {"alg": "ES256", "typ": "xinyi-checkpoint+jws", "kid": self.key.kid}
        payload = {
            "iss": ISSUER,
            "log_id": self.log_id,
            "tree_size": size,
            "root_hash": b64(self.tree.get_root(size)),
            "iat": int(NOW.timestamp()),
            **other,
        }
        return jws.serialize_compact(header, canonical(payload), self.key, algorithms=["ES256"])

    def receipt(self, entry: bytes, index: int, size: int | None = None) -> str:
        size = size or self.tree.get_size()
        return f"{b64(entry)}~{b64(canonical(self.proof(index, size)))}~{self.checkpoint(size)}"


def consistency_path(log: Log, first: int, second: int) -> list[str]:
    """RFC 9162 §2.1.4.1, over the leaves and the root that pymerkle holds."""
    leaves = [log.tree.get_leaf(number) for number in range(1, second + 1)]

    def split(part: list[bytes]) -> tuple[list[bytes], list[bytes]]:
        half = 1 << (len(part) - 1).bit_length() - 1
        return part[:half], part[half:]

    def root(part: list[bytes]) -> bytes:
        if len(part) == 1:
            return part[0]
        left, right = split(part)
        return hashlib.sha256(b"\x01" + root(left) + root(right)).digest()

    def path(part: list[bytes], size: int, whole: bool) -> list[bytes]:
        if size == len(part):
            return [] if whole else [root(part)]
        left, right = split(part)
        if size <= len(left):
            return [*path(left, size, whole), root(right)]
        return [*path(right, size - len(left), False), root(left)]

    assert root(leaves) == log.tree.get_root(second)
    return [b64(node) for node in path(leaves, first, True)]


def check(
    log: Log, reference: str, *, met: bool = True, disclosed: Mapping[str, Mapping[str, Any]] | None = None
) -> Any:
    """A check's answer body, recorded in the log."""
    disclosed = {"tax-rating": {"grade": "A"}} if disclosed is None else disclosed
    salts = {name: {field: b64(secrets.token_bytes(16)) for field in fields} for name, fields in disclosed.items()}
    shared = {
        "id": f"chk_{secrets.token_hex(13)}",
        "scenario": {"id": "microloan-prescreen", "version": 1, "digest": "sha-256:" + sha256(b"scenario")},
        "subject": "psn_" + secrets.token_urlsafe(24),
        "outcome": "met" if met else "not_evidenced",
        "criteria": [
            {"id": "tax-rating", "outcome": "met"},
            {"id": "tax-on-time", "outcome": "met" if met else "not_evidenced"},
        ],
        "as_of": "2026-11-02T08:00:00Z",
        "valid_until": "2026-12-02T08:00:00Z",
    }
    salt = secrets.token_bytes(16)
    commitments = {
        name: {
            field: "sha-256:" + sha256(unb64(salts[name][field]) + canonical(value)) for field, value in fields.items()
        }
        for name, fields in disclosed.items()
    }
    entry = canonical(
        {
            **shared,
            "kind": "check",
            "consent_id": CONSENT,
            "partner_id": "prt_00000000000000000000000001",
            "reference_digest": "sha-256:" + sha256(salt + reference.encode()),
            "commitments": commitments,
            "no_onward_supply": True,
            "salt": b64(salt),
            "later": {"member": "that this version doesn't know"},
        }
    )
    data = {**shared, "disclosed": disclosed, "salts": salts, "consent_expires_at": "2027-01-31T08:00:00Z", "later": 1}
    index = log.append(entry)
    return {"data": data, "receipt": log.receipt(entry, index)}


Fault = Callable[[httpx.Request], httpx.Response | None]


class Platform:
    """Answers requests; ``faults`` go first, one for each request to a path that has some left."""

    def __init__(self, time: Time, jwk: Mapping[str, Any]) -> None:
        self.time = time
        self.offset = 0.0
        self.client_key = ECKey.import_key(dict(jwk))
        self.log = Log()
        self.requests: list[httpx.Request] = []
        self.faults: dict[str, list[Fault]] = {}
        self.nonces: dict[str, str | None] = {"as": None, "rs": None}
        self.jtis: set[str] = set()
        self.tokens: dict[str, dict[str, Any]] = {}
        self.pushed: dict[str, dict[str, str]] = {}
        self.codes: dict[str, dict[str, str]] = {}
        self.effects: dict[str, Any] = {}
        self.batches: dict[str, dict[str, Any]] = {}
        self.uploads: list[tuple[str, bytes]] = []
        self.batch_step = 2
        """Items that are done each time somebody looks."""
        self.consent_state = "authorised"
        self.lifetime = 300
        self.met = True
        self.token_type = "DPoP"
        self.issuer = ISSUER

    def now(self) -> float:
        return self.time.seconds + self.offset

    def fail(self, path: str, *faults: Fault) -> None:
        self.faults.setdefault(path, []).extend(faults)

    def paths(self) -> list[str]:
        return [request.url.path for request in self.requests]

    def transport(self) -> httpx.MockTransport:
        return httpx.MockTransport(self.handle)

    def handle(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        waiting = self.faults.get(request.url.path)
        response = (waiting.pop(0)(request) if waiting else None) or self.route(request)
        response.headers.setdefault("date", format_datetime(datetime.fromtimestamp(self.now(), UTC), usegmt=True))
        response.headers.setdefault("x-fapi-interaction-id", request.headers.get("x-fapi-interaction-id", "none"))
        return response

    def route(self, request: httpx.Request) -> httpx.Response:
        try:
            return self._route(request)
        except Refusal as refusal:
            return refusal.response

    def _route(self, request: httpx.Request) -> httpx.Response:
        path, method = request.url.path, request.method
        if path == "/.well-known/oauth-authorization-server":
            return httpx.Response(200, json=self.metadata())
        if path == "/oauth2/token":
            return self.token(request)
        if path == "/oauth2/par":
            return self.par(request)
        if path == "/v1/ledger/jwks":
            return httpx.Response(200, json=self.log.jwks)
        if path == "/v1/scenarios":
            return httpx.Response(200, json={"data": [SUMMARY], "meta": {"next": None}})
        if path in (f"/v1/scenarios/{SCENARIO['id']}", f"/v1/scenarios/{SCENARIO['id']}/versions/1"):
            return httpx.Response(200, json={"data": SCENARIO})
        if path == "/v1/checks" and method == "POST":
            return self.check(request)
        if path.startswith("/v1/check-batches"):
            return self.batch(request)
        if path.startswith("/v1/checks/"):
            self.authorise(request)
            for body in self.effects.values():
                if path == f"/v1/checks/{body['data']['id']}":
                    return httpx.Response(200, json=body)
                if path == f"/v1/checks/{body['data']['id']}/receipt":
                    return httpx.Response(200, json={"receipt": body["receipt"]})
        if path == f"/v1/consents/{CONSENT}":
            self.authorise(request)
            if method == "DELETE":
                self.consent_state = "withdrawn"
            return httpx.Response(200, json={"data": self.consent()})
        return problem(404, "not_found")

    def metadata(self) -> dict[str, Any]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{ISSUER}/oauth2/authorize",
            "token_endpoint": f"{ISSUER}/oauth2/token",
            "pushed_authorization_request_endpoint": f"{ISSUER}/oauth2/par",
            "jwks_uri": f"{ISSUER}/oauth2/jwks",
            "authorization_response_iss_parameter_supported": True,
        }

    def consent(self) -> dict[str, Any]:
        return {
            "id": CONSENT,
            "scenario": {"id": "microloan-prescreen", "version": 1, "digest": "sha-256:" + sha256(b"scenario")},
            "units": ["tax-rating", "tax-rating.grade", "tax-on-time"],
            "form": "written",
            "uses": "recurring",
            "use_count": 0,
            "subject": "psn_x4JtS0c",
            "created_at": "2026-11-02T07:58:00Z",
            "request_expires_at": "2026-11-02T08:58:00Z",
            "authorised_at": "2026-11-02T08:00:00Z",
            "ended": {"at": "2026-11-02T08:00:00Z", "by": "partner", "reason": "given_up_by_partner"}
            if self.consent_state == "withdrawn"
            else None,
            "state": self.consent_state,
            "expires_at": "2027-01-31T08:00:00Z",
        }

    def token(self, request: httpx.Request) -> httpx.Response:
        members = self.authenticate(request)
        jkt = self.proof(request, "as", None)
        details: dict[str, Any] = {}
        if members["grant_type"] == "authorization_code":
            asked = self.codes.pop(members["code"], None)
            if asked is None or asked["redirect_uri"] != members["redirect_uri"]:
                raise Refusal(400, {"error": "invalid_grant"})
            if sha256(members["code_verifier"].encode()) != asked["code_challenge"] or jkt != asked["dpop_jkt"]:
                raise Refusal(400, {"error": "invalid_grant"})
            detail = json.loads(asked["authorization_details"])[0]
            details = {"authorization_details": [{**detail, "version": 1, "consent_id": CONSENT}]}
        elif members["grant_type"] != "client_credentials" or members.get("scope", "checks") != "checks":
            raise Refusal(400, {"error": "invalid_scope"})
        value = secrets.token_urlsafe(32)
        self.tokens[value] = {"jkt": jkt, "expires_at": self.now() + self.lifetime, **details}
        body = {"access_token": value, "token_type": self.token_type, "expires_in": self.lifetime, **details}
        return httpx.Response(200, json=body)

    def par(self, request: httpx.Request) -> httpx.Response:
        members = self.authenticate(request)
        if self.proof(request, "as", None) != members["dpop_jkt"]:
            raise Refusal(400, {"error": "invalid_dpop_proof"})
        details = json.loads(members["authorization_details"])
        if len(details) != 1 or details[0]["type"] != "credit_scenario_check":
            raise Refusal(400, {"error": "invalid_authorization_details"})
        if (members["response_type"], members["code_challenge_method"]) != ("code", "S256"):
            raise Refusal(400, {"error": "invalid_request"})
        uri = "urn:ietf:params:oauth:request_uri:" + secrets.token_urlsafe(16)
        self.pushed[uri] = members
        return httpx.Response(201, json={"request_uri": uri, "expires_in": 90})

    def browse(self, url: str, *, agree: bool = True) -> str:
        """What a subject's browser does with the consent page: the address it comes back to."""
        query = httpx.URL(url).params
        assert query["client_id"] == CLIENT
        asked = self.pushed.pop(query["request_uri"])
        back = httpx.URL(asked["redirect_uri"])
        answer = {"state": asked["state"], "iss": ISSUER}
        if not agree:
            return str(back.copy_merge_params({**answer, "error": "access_denied"}))
        code = secrets.token_urlsafe(24)
        self.codes[code] = asked
        return str(back.copy_merge_params({**answer, "code": code}))

    def check(self, request: httpx.Request) -> httpx.Response:
        token = self.authorise(request)
        body = json.loads(request.content)
        bound = token.get("authorization_details")
        if bound and bound[0]["consent_id"] != body["consent_id"]:
            raise Refusal(404, {"code": "not_found"})
        if self.consent_state != "authorised":
            raise Refusal(403, {"code": f"consent_{self.consent_state}", "title": "The consent was withdrawn"})
        key = request.headers["idempotency-key"]
        if key not in self.effects:
            self.effects[key] = check(self.log, body["reference"], met=self.met, disclosed=None if self.met else {})
        return httpx.Response(200, json=self.effects[key])

    def batch(self, request: httpx.Request) -> httpx.Response:
        self.authorise(request)
        if request.method == "POST":
            return self.take_in(request)
        _, _, _, batch_id, *rest = request.url.path.split("/")
        batch = self.batches.get(batch_id)
        if batch is None:
            raise Refusal(404, {"code": "not_found"})
        results, total = batch["results"], len(batch["items"])
        for item in batch["items"][len(results) : len(results) + self.batch_step]:
            results.append(self.batch_item(len(results) + 1, item))
        if not rest:
            return httpx.Response(200, json={"data": self.batch_view(batch_id)})
        after, limit = (int(request.url.params[name]) for name in ("cursor", "limit"))
        page = results[after : after + limit]
        last = page[-1]["number"] if page else after
        meta = {"limit": limit, "next_cursor": None if last == total else str(last)}
        return httpx.Response(200, json={"data": page, "meta": meta})

    def take_in(self, request: httpx.Request) -> httpx.Response:
        self.uploads.append((request.headers["content-type"], request.content))
        key = request.headers["idempotency-key"]
        batch_id = f"cbt_{sha256(key.encode())[:26]}"
        items = [json.loads(line) for line in request.content.splitlines()]
        if bad := [number for number, item in enumerate(items, 1) if not item.get("reference")]:
            errors = [{"number": n, "line": n, "member": "reference", "code": "required"} for n in bad]
            detail = f"{len(bad)} of {len(items)} items can't be taken"
            raise Refusal(422, {"code": "invalid", "detail": detail, "errors": errors})
        self.batches.setdefault(batch_id, {"items": items, "results": []})
        return httpx.Response(202, json={"data": self.batch_view(batch_id)})

    def batch_item(self, number: int, item: dict[str, str]) -> dict[str, Any]:
        head = {"number": number, "consent_id": item["consent_id"], "reference": item["reference"]}
        if item["consent_id"] != CONSENT:
            return {**head, "problem": {"status": 404, "code": "not_found", "source": "/consent_id", "title": "x"}}
        return {**head, **check(self.log, item["reference"])}

    def batch_view(self, batch_id: str) -> dict[str, Any]:
        batch = self.batches[batch_id]
        total, done = len(batch["items"]), len(batch["results"])
        refused = sum("problem" in item for item in batch["results"])
        return {
            "id": batch_id,
            "state": "finished" if done == total else "running" if done else "queued",
            "total": total,
            "waiting": total - done,
            "answered": done - refused,
            "refused": refused,
            "outcomes": {"met": done - refused, "not_evidenced": 0, "later": 0} if done == total else None,
            "created_at": "2026-11-02T08:00:00Z",
            "started_at": "2026-11-02T08:00:00Z" if done else None,
            "finished_at": "2026-11-02T08:00:00Z" if done == total else None,
        }

    def authenticate(self, request: httpx.Request) -> dict[str, str]:
        """private_key_jwt (RFC 7523 §3), as strict as FAPI 2.0."""
        pairs = parse_qsl(request.content.decode(), strict_parsing=True, keep_blank_values=True)
        members = dict(pairs)
        assert len(members) == len(pairs)
        assert members["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        try:
            token = jws.deserialize_compact(members["client_assertion"], self.client_key, algorithms=["ES256"])
        except JoseError:
            raise Refusal(400, {"error": "invalid_client"}) from None
        claims = json.loads(token.payload)
        fresh = self.now() - 60 < claims["iat"] <= self.now() + 10 < claims["exp"] + 10 <= self.now() + 75
        if not fresh or claims["aud"] != ISSUER or (claims["iss"], claims["sub"]) != (CLIENT, CLIENT):
            raise Refusal(400, {"error": "invalid_client"})
        assert token.headers()["typ"] in ("JWT", "client-authentication+jwt")
        self.once(claims["jti"])
        return members

    def proof(self, request: httpx.Request, nonce_of: str, access_token: str | None) -> str:
        """DPoP (RFC 9449 §4.3): the thumbprint of the key."""
        proof = request.headers["dpop"]
        header = json.loads(unb64(proof.split(".")[0]))
        assert header["typ"] == "dpop+jwt"
        assert "d" not in header["jwk"]
        key = ECKey.import_key(header["jwk"])
        assert key.thumbprint() != self.client_key.thumbprint(), "the registered key is for assertions only"
        claims = json.loads(jws.deserialize_compact(proof, key, algorithms=["ES256"]).payload)
        wanted = self.nonces[nonce_of]
        if wanted is not None and claims.get("nonce") != wanted:
            status, body = (400, {"error": "use_dpop_nonce"}) if nonce_of == "as" else (401, {"code": "use_dpop_nonce"})
            raise Refusal(status, body, {"dpop-nonce": wanted, "www-authenticate": 'DPoP error="use_dpop_nonce"'})
        assert claims["htm"] == request.method
        assert claims["htu"] == str(request.url).partition("?")[0]
        if not self.now() - 60 < claims["iat"] <= self.now() + 10:
            raise Refusal(
                400 if nonce_of == "as" else 401, {"error": "invalid_dpop_proof", "code": "invalid_dpop_proof"}
            )
        if access_token is not None:
            assert claims["ath"] == sha256(access_token.encode())
        self.once(claims["jti"])
        return str(key.thumbprint())

    def authorise(self, request: httpx.Request) -> dict[str, Any]:
        scheme, _, value = request.headers.get("authorization", "").partition(" ")
        token = self.tokens.get(value)
        if scheme != "DPoP" or token is None or token["expires_at"] <= self.now():
            raise Refusal(401, {"code": "invalid_token"}, {"www-authenticate": 'DPoP error="invalid_token"'})
        assert self.proof(request, "rs", value) == token["jkt"]
        return token

    def once(self, jti: str) -> None:
        assert jti not in self.jtis, "a proof or assertion was sent twice"
        self.jtis.add(jti)


class Refusal(Exception):
    def __init__(self, status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> None:
        self.response = httpx.Response(status, json=dict(body), headers=dict(headers or {}))


def problem(status: int, code: str, **headers: str) -> httpx.Response:
    """A problem document (RFC 9457)."""
    body = {"type": "about:blank", "title": code, "status": status, "code": code}
    return httpx.Response(status, json=body, headers={name.replace("_", "-"): value for name, value in headers.items()})


def answering(status: int, code: str = "unavailable", **headers: str) -> Fault:
    """A fault: this status instead of an answer."""
    return lambda _: problem(status, code, **headers)


def dropping(request: httpx.Request) -> httpx.Response:
    """A fault: the connection breaks before anything happens."""
    raise httpx.ConnectError("connection refused", request=request)


def http_date(after: timedelta) -> str:
    return format_datetime(NOW + after, usegmt=True)


SUMMARY: dict[str, Any] = {
    "id": "microloan-prescreen",
    "version": 1,
    "digest": "sha-256:" + sha256(b"scenario"),
    "name": {"zh": "信易贷·小微企业预筛", "en": "Micro-loan prescreen"},
    "incentive": {"zh": "快速通道", "en": "Fast lane"},
    "partner_kinds": ["bank"],
    "subject_kind": "legal_person",
    "consent": {"form": "written", "max_days": 90, "uses": "recurring"},
    "later": "a member that this version doesn't know",
}
SCENARIO: dict[str, Any] = {
    **SUMMARY,
    "published": True,
    "purpose": {"zh": "贷款预筛", "en": "Prescreen a loan"},
    "legal_basis": {"zh": "书面同意", "en": "Written consent"},
    "fallback": {"zh": "到柜台办理", "en": "Ask at the counter"},
    "criteria": [
        {
            "id": "tax-on-time",
            "record": "TAX_ONTIME",
            "test": {"months": {"at_least": 12}},
            "max_age": "P45D",
            "necessity": {"zh": "经营稳定", "en": "Steady business"},
            "disclose": "band",
            "fields": [],
            "bands": {"months": [12, 24]},
            "disclosure_reason": {"zh": "…", "en": "…"},
        }
    ],
    "rule": {"all_of": ["tax-on-time"]},
    "units": ["tax-on-time", "tax-on-time.months"],
    "answer_ttl": "P30D",
    "retention_days": 180,
    "explanation": {"met": {"zh": "符合", "en": "Met"}, "not_evidenced": {"zh": "未见佐证", "en": "Not evidenced"}},
    "pia_ref": "PIA-2026-001",
}
