"""A platform in memory, behind httpx's ``MockTransport``: it answers with the scenarios' own cases."""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from secrets import token_bytes, token_hex, token_urlsafe
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import msgspec

from .. import _http
from .._encoding import b64url
from .._keys import SigningKey, s256
from ..async_client import AsyncXinyi
from ..client import Xinyi
from ..models.consents import Consent, ConsentState
from ._cases import scenarios
from ._log import FakeLog, entry_of

ISSUER: Final = "https://xinyi.test"
CLIENT: Final = "cli_0000000000000000000000test"
PARTNER: Final = "prt_0000000000000000000000test"
CODE_STATUS: Final[Mapping[str, int]] = {
    "malformed": 400,
    "unauthenticated": 401,
    "invalid_token": 401,
    "not_entitled": 403,
    "partner_suspended": 403,
    "scenario_mismatch": 403,
    "consent_paused": 403,
    "consent_withdrawn": 403,
    "consent_expired": 403,
    "consent_consumed": 403,
    "consent_outdated": 403,
    "not_found": 404,
    "wrong_state": 409,
    "invalid": 422,
    "idempotency_key_reused": 422,
    "rate_limited": 429,
    "internal": 500,
    "unavailable": 503,
}
"""What a consent can be told to answer besides the outcomes, and the status that it comes with."""
ENDED: Final[Mapping[str, tuple[str, str]]] = {
    "withdrawn": ("subject", "withdrawn_by_subject"),
    "expired": ("time", "term_reached"),
    "consumed": ("partner", "used_up"),
    "rejected": ("subject", "refused"),
}


@dataclass(frozen=True)
class AskedCheck:
    """A check that was asked for, whatever it was answered."""

    scenario: str
    consent_id: str
    reference: str


@dataclass
class _Consent:
    id: str
    scenario: str
    subject: str
    case: Mapping[str, Any]
    state: str = ConsentState.AUTHORISED
    sub_party: str | None = None
    channel: str = "redirect"
    refusal: str | None = None
    created: datetime = field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    use_count: int = 0


@dataclass
class _Pushed:
    members: Mapping[str, str]
    consent: _Consent | None = None


class _Refused(Exception):
    def __init__(self, code: str, source: str | None = None, retry_after: int | None = None) -> None:
        self.code, self.source, self.retry_after = code, source, retry_after


class FakeXinyi:
    """A platform for tests: no network, no waiting, one partner.

    Consents come from :meth:`consent`, or from :meth:`browse` when your program asks for one itself. It is lenient
    where the platform is strict (it verifies no assertions and no proofs), and answers only what partners ask.
    """

    def __init__(self) -> None:
        self.log: FakeLog = FakeLog(ISSUER)
        self.checks: list[AskedCheck] = []
        """Every check that was asked for, in order."""
        self.pauses: list[float] = []
        """Seconds that clients would have waited between their tries."""
        self._key = SigningKey.generate()
        self._lock = threading.Lock()
        self._consents: dict[str, _Consent] = {}
        self._answers: dict[str, tuple[_Consent, dict[str, Any]]] = {}
        self._by_key: dict[str, tuple[bytes, httpx.Response]] = {}
        self._batches: dict[str, list[dict[str, Any]]] = {}
        self._pushed: dict[str, _Pushed] = {}
        self._codes: dict[str, _Pushed] = {}
        self._tokens: set[str] = set()
        self._failures: list[_Refused] = []

    def __repr__(self) -> str:
        return f"FakeXinyi({len(self._consents)} consents, {len(self.checks)} checks)"

    # What a test does

    def consent(self, scenario: str, answers: str = "met", *, case: str | None = None) -> Consent:
        """A consent that a subject has given, and what checks under it are answered.

        ``answers`` is ``met`` or ``not_evidenced``; ``withdrawn``, ``paused``, ``expired``, ``consumed`` or
        ``outdated``, for a consent that doesn't carry a check; or any error's code, such as ``rate_limited``,
        ``unavailable`` or ``not_entitled``. ``case`` picks one of the scenario's published cases by its id
        (``scenarios/incentives/NAME.cases.yaml``) instead. Raises ``KeyError`` for what isn't there.
        """
        with self._lock:
            return self._shown(self._given(scenario, answers, case))

    def withdraw(self, consent_id: str) -> None:
        """The subject withdraws: from now on every check under the consent is refused."""
        with self._lock:
            self._consents[consent_id].state = ConsentState.WITHDRAWN

    def decide(self, consent_id: str, answers: str = "met", *, case: str | None = None, agree: bool = True) -> None:
        """What the subject of ``consents.ask`` does at the link: agrees, or not."""
        with self._lock:
            consent = self._consents[consent_id]
            consent.state = ConsentState.REJECTED
            if agree:
                given = self._given(consent.scenario, answers, case)
                del self._consents[given.id]
                consent.case, consent.state, consent.refusal = given.case, given.state, given.refusal

    def browse(self, url: str, answers: str = "met", *, case: str | None = None, agree: bool = True) -> str:
        """What a subject's browser does with ``request.url``: agrees (or not), and comes back; gives that address."""
        with self._lock:
            pushed = self._pushed.pop(dict(parse_qsl(urlsplit(url).query))["request_uri"])
            back = {"state": pushed.members["state"], "iss": ISSUER}
            if agree:
                asked = msgspec.json.decode(pushed.members["authorization_details"])[0]
                pushed.consent = self._given(asked["scenario"], answers, case)
                pushed.consent.sub_party = asked.get("sub_party")
                back["code"] = token_urlsafe(24)
                self._codes[back["code"]] = pushed
            else:
                back["error"] = "access_denied"
            redirect_uri = pushed.members["redirect_uri"]
            return f"{redirect_uri}{'&' if urlsplit(redirect_uri).query else '?'}{urlencode(back)}"

    def fail(self, code: str, *, times: int = 1, retry_after: int | None = None) -> None:
        """The next calls of the API are refused with this code, whatever they ask."""
        _known("code", code, CODE_STATUS)
        self._failures += [_Refused(code, retry_after=retry_after)] * times

    def client(self, **options: Any) -> Xinyi:
        """A client of this platform; ``options`` are those of ``Xinyi``."""
        with self.installed():
            return Xinyi(**{**self._options(), **options})

    def async_client(self, **options: Any) -> AsyncXinyi:
        """A client of this platform; ``options`` are those of ``AsyncXinyi``."""
        with self.installed():
            return AsyncXinyi(**{**self._options(), **options})

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which ``Xinyi()`` finds this platform, where :meth:`installed` holds."""
        return {
            "XINYI_SDK_BASE_URL": ISSUER,
            "XINYI_SDK_CLIENT_ID": CLIENT,
            "XINYI_SDK_PRIVATE_KEY": self._key.private_pem().decode(),
        }

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Clients that are made meanwhile reach this platform and never wait; but for any with an ``http_client``."""
        before = _http.surroundings
        _http.surroundings = _http.Surroundings(self.transport(), self.pauses.append, self._pause)
        try:
            yield
        finally:
            _http.surroundings = before

    def transport(self) -> httpx.MockTransport:
        """The way here for an ``http_client`` of your own, blocking or awaiting."""
        return httpx.MockTransport(self.handle)

    async def _pause(self, seconds: float) -> None:
        self.pauses.append(seconds)
        await asyncio.sleep(0)

    def _options(self) -> dict[str, Any]:
        return {"base_url": ISSUER, "client_id": CLIENT, "private_key": self._key.private_pem()}

    # What the platform does

    def handle(self, request: httpx.Request) -> httpx.Response:
        """Answers one request."""
        with self._lock:
            try:
                response = self._routed(request)
            except _Refused as refused:
                response = _problem(refused)
        response.headers["x-fapi-interaction-id"] = request.headers.get("x-fapi-interaction-id", token_hex(16))
        return response

    def _routed(self, request: httpx.Request) -> httpx.Response:
        method, path = request.method, request.url.path
        head, _, rest = path.removeprefix("/v1/").partition("/")
        if path == "/.well-known/oauth-authorization-server":
            return _json(200, _METADATA)
        if path in ("/oauth2/par", "/oauth2/token"):
            return self._oauth(path, dict(parse_qsl(request.content.decode(), keep_blank_values=True)))
        if self._failures:
            raise self._failures.pop(0)
        if head == "scenarios" and method == "GET":
            return _scenario(rest)
        if head == "ledger":
            return self._ledger(rest, request.url.params)
        if request.headers.get("authorization", "").removeprefix("DPoP ") not in self._tokens:
            raise _Refused("invalid_token")
        handlers: dict[tuple[str, str], Callable[[httpx.Request, str], httpx.Response]] = {
            ("POST", "checks"): self._check,
            ("GET", "checks"): self._earlier,
            ("GET", "consents"): self._consent,
            ("POST", "consents"): self._ask,
            ("DELETE", "consents"): self._give_up,
            ("POST", "check-batches"): self._submit,
            ("GET", "check-batches"): self._batch,
        }
        if (method, head) not in handlers:
            raise _Refused("not_found")
        if method != "POST":
            return handlers[method, head](request, rest)
        key = request.headers["idempotency-key"]
        if key in self._by_key:
            body, response = self._by_key[key]
            if body != request.content:
                raise _Refused("idempotency_key_reused")
            return httpx.Response(response.status_code, headers=response.headers, content=response.content)
        response = handlers[method, head](request, rest)
        self._by_key[key] = request.content, response
        return response

    def _oauth(self, path: str, members: Mapping[str, str]) -> httpx.Response:
        if path == "/oauth2/par":
            scenario = msgspec.json.decode(members["authorization_details"])[0]["scenario"]
            if scenario not in scenarios():
                return _json(400, {"error": "invalid_authorization_details"})
            uri = f"urn:ietf:params:oauth:request_uri:{token_urlsafe(16)}"
            self._pushed[uri] = _Pushed(members)
            return _json(201, {"request_uri": uri, "expires_in": 90})
        token: dict[str, Any] = {"access_token": token_urlsafe(32), "token_type": "DPoP", "expires_in": 300}
        if members["grant_type"] == "authorization_code":
            pushed = self._codes.pop(members["code"], None)
            if pushed is None or pushed.consent is None:
                return _json(400, {"error": "invalid_grant"})
            if s256(members["code_verifier"]) != pushed.members["code_challenge"]:
                return _json(400, {"error": "invalid_grant"})
            consent = pushed.consent
            granted = {"type": "credit_scenario_check", "scenario": consent.scenario, "version": _version(consent)}
            token["authorization_details"] = [{**granted, "consent_id": consent.id}]
        self._tokens.add(token["access_token"])
        return _json(200, token)

    def _ledger(self, rest: str, query: httpx.QueryParams) -> httpx.Response:
        if rest == "jwks":
            return _json(200, self.log.jwks())
        size = self.log.size
        if rest == "proofs/consistency":
            first, second = int(query["first"]), int(query.get("second", size))
            if not 0 < first <= second <= size:
                raise _Refused("not_found")
            return _data({"first": first, "second": second, "path": self.log.consistency(first, second)})
        name = rest.removeprefix("checkpoints/")
        asked = size if name == "latest" else int(name) if name.isdigit() else 0
        if not 0 < asked <= size:
            raise _Refused("not_found")
        return _data(self.log.head(asked))

    def _given(self, scenario: str, answers: str, case: str | None) -> _Consent:
        cases = _known("scenario", scenario, scenarios())["cases"]
        consent = _Consent(f"cns_{token_hex(13)}", scenario, f"psn_{token_urlsafe(24)}", _first(cases, "met"))
        if case is not None:
            consent.case = _known(f"case of {scenario}", case, cases)
        elif answers in ("met", "not_evidenced"):
            consent.case = _first(cases, answers)
        elif answers in (*ENDED, ConsentState.PAUSED):
            consent.state = answers
        else:
            consent.refusal = "consent_outdated" if answers == "outdated" else answers
            _known("answer", consent.refusal, CODE_STATUS)
        self._consents[consent.id] = consent
        return consent

    def _check(self, request: httpx.Request, _: str) -> httpx.Response:
        asked = msgspec.json.decode(request.content)
        return _json(200, self._answered(asked))

    def _answered(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        for name in ("scenario", "consent_id", "reference"):
            if not isinstance(asked.get(name), str) or not asked[name]:
                raise _Refused("invalid", f"/{name}")
        self.checks.append(AskedCheck(asked["scenario"], asked["consent_id"], asked["reference"]))
        consent = self._consents.get(asked["consent_id"])
        if consent is None:
            raise _Refused("not_found", "/consent_id")
        if consent.refusal is not None:
            raise _Refused(consent.refusal)
        if consent.state in (ConsentState.AWAITING_AUTHORISATION, ConsentState.REJECTED):
            raise _Refused("not_found", "/consent_id")
        if consent.state != ConsentState.AUTHORISED:
            raise _Refused(f"consent_{consent.state}")
        if consent.scenario != asked["scenario"]:
            raise _Refused("scenario_mismatch", "/scenario")
        view = scenarios()[consent.scenario]["view"]
        consent.use_count += 1
        if view["consent"]["uses"] == "once":
            consent.state = ConsentState.CONSUMED
        now = datetime.now(UTC).replace(microsecond=0)
        disclosed = consent.case["disclosed"]
        criteria = consent.case["criteria"]
        data = {
            "id": f"chk_{token_hex(13)}",
            "scenario": _pinned(view),
            "subject": consent.subject,
            "outcome": consent.case["outcome"],
            "criteria": [
                {"id": each["id"], "outcome": criteria[each["id"]]}
                for each in view["criteria"]
                if each["id"] in criteria
            ],
            "disclosed": disclosed,
            "salts": {name: {each: b64url(token_bytes(16)) for each in fields} for name, fields in disclosed.items()},
            "as_of": _time(now),
            "valid_until": _time(now + msgspec.convert(view["answer_ttl"], timedelta)),
            "consent_expires_at": _time(_expiry(consent)),
        }
        body = {"data": data, "receipt": self.log.append(entry_of(data, consent.id, PARTNER, asked["reference"]))}
        self._answers[str(data["id"])] = consent, body
        return body

    def _earlier(self, _request: httpx.Request, rest: str) -> httpx.Response:
        check_id, _, what = rest.partition("/")
        if check_id not in self._answers or what not in ("", "receipt"):
            raise _Refused("not_found")
        consent, body = self._answers[check_id]
        if consent.state == ConsentState.WITHDRAWN:
            raise _Refused("consent_withdrawn")
        return _json(200, {"receipt": body["receipt"]} if what else body)

    def _ask(self, request: httpx.Request, _: str) -> httpx.Response:
        asked = msgspec.json.decode(request.content)
        if asked.get("scenario") not in scenarios():
            raise _Refused("invalid", "/scenario")
        consent = self._given(asked["scenario"], "met", None)
        consent.state, consent.channel = ConsentState.AWAITING_AUTHORISATION, "link"
        consent.sub_party = asked.get("sub_party")
        shown = ("id", "scenario", "units", "form", "uses", "created_at", "request_expires_at")
        view = {name: each for name, each in _consent_view(consent).items() if name in shown}
        link = f"{ISSUER}/consents/{consent.id}"
        picture = f'<svg xmlns="http://www.w3.org/2000/svg"><title>{link}</title></svg>'
        return _json(201, {"data": {**view, "link": link, "qr_svg": picture}})

    def _consent(self, request: httpx.Request, consent_id: str) -> httpx.Response:
        if not consent_id:
            wanted = request.url.params
            found = [_consent_view(each) for each in reversed(self._consents.values())]
            data = [each for each in found if _fits(each, wanted)]
            return _json(200, {"data": data, "meta": {"next_cursor": None}})
        if consent_id not in self._consents:
            raise _Refused("not_found")
        return _data(_consent_view(self._consents[consent_id]))

    def _give_up(self, request: httpx.Request, consent_id: str) -> httpx.Response:
        if consent_id in self._consents:
            self._consents[consent_id].state = ConsentState.WITHDRAWN
        return self._consent(request, consent_id)

    def _shown(self, consent: _Consent) -> Consent:
        return msgspec.convert(_consent_view(consent), Consent)

    def _submit(self, request: httpx.Request, _: str) -> httpx.Response:
        batch_id = f"cbt_{token_hex(13)}"
        self._batches[batch_id] = [
            self._item(number, msgspec.json.decode(line)) for number, line in enumerate(request.content.splitlines(), 1)
        ]
        return _json(202, {"data": self._batch_view(batch_id)})

    def _item(self, number: int, asked: Mapping[str, Any]) -> dict[str, Any]:
        head = {"number": number, "consent_id": asked.get("consent_id"), "reference": asked.get("reference")}
        try:
            return {**head, **self._answered(asked)}
        except _Refused as refused:
            return {**head, "problem": msgspec.json.decode(_problem(refused).content)}

    def _batch(self, request: httpx.Request, rest: str) -> httpx.Response:
        batch_id, _, what = rest.partition("/")
        if batch_id not in self._batches:
            raise _Refused("not_found")
        if not what:
            return _data(self._batch_view(batch_id))
        after, limit = int(request.url.params.get("cursor", 0)), int(request.url.params.get("limit", 50))
        items = self._batches[batch_id]
        page = items[after : after + limit]
        following = str(after + len(page)) if after + len(page) < len(items) else None
        return _json(200, {"data": page, "meta": {"limit": limit, "next_cursor": following}})

    def _batch_view(self, batch_id: str) -> dict[str, Any]:
        items = self._batches[batch_id]
        answers = [item["data"]["outcome"] for item in items if "data" in item]
        now = _time(datetime.now(UTC))
        return {
            "id": batch_id,
            "state": "finished",
            "total": len(items),
            "waiting": 0,
            "answered": len(answers),
            "refused": len(items) - len(answers),
            "outcomes": {name: answers.count(name) for name in ("met", "not_evidenced")},
            "created_at": now,
            "started_at": now,
            "finished_at": now,
        }


_METADATA: Final = {
    "issuer": ISSUER,
    "authorization_endpoint": f"{ISSUER}/oauth2/authorize",
    "token_endpoint": f"{ISSUER}/oauth2/token",
    "pushed_authorization_request_endpoint": f"{ISSUER}/oauth2/par",
}


def _known(what: str, name: str, among: Mapping[str, Any]) -> Any:
    if name not in among:
        raise KeyError(f"there is no {what} {name!r}; there are: {', '.join(sorted(among))}")
    return among[name]


def _first(cases: Mapping[str, Mapping[str, Any]], outcome: str) -> Mapping[str, Any]:
    return next(case for case in cases.values() if case["outcome"] == outcome)


def _scenario(rest: str) -> httpx.Response:
    known = scenarios()
    if not rest:
        summary = ("id", "version", "digest", "name", "incentive", "partner_kinds", "subject_kind", "consent")
        found = [{name: each["view"][name] for name in summary} for each in known.values()]
        return _json(200, {"data": found, "meta": {"next_cursor": None}})
    name, _, version = rest.partition("/versions/")
    if name not in known or version not in ("", str(known[name]["view"]["version"])):
        raise _Refused("not_found")
    return _data(known[name]["view"])


def _version(consent: _Consent) -> int:
    version: int = scenarios()[consent.scenario]["view"]["version"]
    return version


def _pinned(view: Mapping[str, Any]) -> dict[str, Any]:
    return {name: view[name] for name in ("id", "version", "digest")}


def _expiry(consent: _Consent) -> datetime:
    return consent.created + timedelta(days=scenarios()[consent.scenario]["view"]["consent"]["max_days"])


def _fits(view: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    """Whether a list with these filters has the consent."""
    told = {"state": view["state"], "scenario": view["scenario"]["id"], "sub_party": view["sub_party"]}
    return all(wanted.get(name, value) == value for name, value in told.items())


def _consent_view(consent: _Consent) -> dict[str, Any]:
    view = scenarios()[consent.scenario]["view"]
    by, reason = ENDED.get(consent.state, ("", ""))
    decided = consent.state not in (ConsentState.AWAITING_AUTHORISATION, ConsentState.REJECTED)
    return {
        "id": consent.id,
        "state": consent.state,
        "scenario": _pinned(view),
        "units": view["units"],
        "form": view["consent"]["form"],
        "uses": view["consent"]["uses"],
        "use_count": consent.use_count,
        "sub_party": consent.sub_party,
        "channel": consent.channel,
        "subject": consent.subject if decided else None,
        "created_at": _time(consent.created),
        "request_expires_at": _time(consent.created + timedelta(hours=1)),
        "authorised_at": _time(consent.created) if decided else None,
        "expires_at": _time(_expiry(consent)) if decided else None,
        "notice_digest": None,
        "text_digest": None,
        "ended": {"at": _time(datetime.now(UTC)), "by": by, "reason": reason} if by else None,
    }


def _problem(refused: _Refused) -> httpx.Response:
    status = CODE_STATUS[refused.code]
    body: dict[str, Any] = {
        "type": f"/v1/metadata/error-codes#{refused.code}",
        "title": refused.code,
        "status": status,
        "code": refused.code,
        "instance": f"urn:uuid:{token_hex(16)}",
    }
    headers = {"content-type": "application/problem+json"}
    if refused.source is not None:
        body["source"] = refused.source
    if refused.retry_after is not None:
        body["retry_after"] = refused.retry_after
        headers["retry-after"] = str(refused.retry_after)
    return httpx.Response(status, content=msgspec.json.encode(body), headers=headers)


def _data(data: object) -> httpx.Response:
    return _json(200, {"data": data})


def _json(status: int, body: object) -> httpx.Response:
    headers = {"content-type": "application/json"}
    return httpx.Response(status, content=msgspec.json.encode(body), headers=headers)


def _time(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
