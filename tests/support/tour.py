"""A tour through every route, with canaries in whatever a caller can fill in."""

from collections.abc import Iterator
from typing import Any, Final

import httpx

from tests.support.canaries import Cage
from tests.support.oauth import PartnerProgram, Platform, Subject
from tests.support.tenants import Operation, Tenant, new_tenant, operations
from xinyi.kernel.clock import SystemClock
from xinyi.sandbox import personas
from xinyi.wiring import Services

PERSONA: Final = "person-a"
PAGES: Final = (
    "/me", "/me/records", "/me/access-log", "/me/data", "/me/export", "/me/print", "/sign-in", "/oauth2/authorize",
    "/consents/{consent}", "/me/access-log/{check}/receipt", "/assets/{word}", "/docs", "/{word}",
)  # fmt: skip
"""What isn't in the OpenAPI document: for browsers."""
FORMS: Final = (
    "/oauth2/authorize", "/sign-in", "/me/consents/{consent}/pause", "/me/records/{record}/dispute", "/me/sign-out",
    "/me/withholdings/add", "/me/data/notices", "/consents/{consent}",
)  # fmt: skip
NUMBERS: Final = {"size", "version"}
"""Parameters in paths that are numbers: with anything else the path leads nowhere."""


class Remote(Platform):
    """A server in a process of its own, over the same installation as ``services``."""

    def __init__(self, services: Services, url: str) -> None:
        self.services = services
        self.url = url
        self.clock = SystemClock()  # type: ignore[assignment]  # nobody moves this one
        self.http = httpx.AsyncClient(base_url=url)
        self._browsers = [self.http]

    async def aclose(self) -> None:
        """Ends the connections."""
        for browser in self._browsers:
            await browser.aclose()

    def service(self, name: str) -> Any:
        return getattr(self.services, name)

    async def partner(self, *scenarios: str, kind: str = "bank", **more: Any) -> PartnerProgram:
        program = await super().partner(*scenarios, kind=kind, **more)
        program.issuer = self.url
        return program

    def subject(self) -> Subject:
        self._browsers.append(httpx.AsyncClient(base_url=self.url))
        return Subject(self._browsers[-1])


class Tour:
    """Whatever a caller can fill in, filled with canaries; and the secrets that came out of it."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.cage = Cage(each.identifier.value for each in personas.personas())

    async def succeed(self) -> Tenant:
        """Through everything that somebody may do."""
        tenant = await new_tenant(self.platform, PERSONA, self.cage.new)
        for secret in secrets_of(tenant):
            self.cage.plant(secret)
        return tenant

    async def go(self) -> None:
        """Through every route: what succeeds first, then what is refused."""
        tenant = await self.succeed()
        for operation in operations():
            for caller in {operation.caller, "public"}:
                await self._nonsense(tenant, operation, caller)
        for path in PAGES:
            await self._visit(tenant, "GET", path)
        for path in FORMS:
            await self._visit(tenant, "POST", path)

    async def _nonsense(self, tenant: Tenant, operation: Operation, caller: str) -> None:
        """Canaries in the path, the query, the headers and the body; once as a known caller, once with made-up
        credentials."""
        path = operation.path
        for name in operation.in_path:
            path = path.replace(f"{{{name}}}", "1" if name in NUMBERS else self.cage.new(name))
        query = {name: self.cage.new(name) for name, place in operation.parameters if place == "query"}
        headers = {name: self.cage.new(name) for name, place in operation.parameters if place == "header"}
        headers |= self._headers()
        if caller == "public":
            headers |= {name: self.cage.new(name) for name in ("authorization", "dpop", "cookie")}
        bodies: dict[str, Any] = operation.bodies or {"application/json": None}
        for media_type, example in bodies.items():
            more = self._body(media_type, example)
            given = {**headers, **({"content-type": media_type} if "content" in more else {})}
            answer = await tenant.call(
                caller, operation.method, path, params={**query, "extra": self.cage.new("query")}, headers=given, **more
            )
            assert answer.status_code < 500, (operation.id, answer.status_code, answer.text)

    def _headers(self) -> dict[str, str]:
        names = ("user-agent", "referer", "traceparent", "x-forwarded-for", "x-fapi-interaction-id", "accept-language")
        return {name: self.cage.new(name) for name in names}

    def _body(self, media_type: str, example: Any) -> dict[str, Any]:
        match media_type:
            case "application/x-www-form-urlencoded":
                return {"data": {name: self.cage.new(name) for name in {**(example or {}), "extra": ""}}}
            case "application/json" if isinstance(example, dict):
                return {"json": {**self._filled(example), "extra": self.cage.new("member")}}
            case "application/json":
                return {"json": self.cage.new("json")} if example is not None else {}
            case _:
                return {"content": f'{self.cage.new("line")}\n{{"subject": "{self.cage.new("cell")}"}}\n'.encode()}

    def _filled(self, value: Any, name: str = "member") -> Any:
        """The value with a canary in place of each text."""
        match value:
            case str():
                return self.cage.new(name)
            case dict():
                return {each: self._filled(inner, each) for each, inner in value.items()}
            case list():
                return [self._filled(inner, name) for inner in value]
            case _:
                return value

    async def _visit(self, tenant: Tenant, method: str, path: str) -> None:
        path = path.format(word=self.cage.new("path"), **tenant.things)
        for browser in (tenant.browser.http, self.platform.http):
            more: dict[str, Any] = {"params": {"next": self.cage.new("next"), "request_uri": self.cage.new("uri")}}
            if method == "POST":
                more["data"] = {
                    name: self.cage.new(name) for name in ("csrf_token", "persona", "decision", "scenario", "extra")
                }
            answer = await browser.request(method, path, headers={"accept": "text/html", **self._headers()}, **more)
            assert answer.status_code < 500, (method, path, answer.status_code, answer.text)


def secrets_of(tenant: Tenant) -> Iterator[str]:
    """Everything that opens something, or says who somebody is."""
    yield from (tenant.code, tenant.csrf, tenant.webhook_secret, tenant.request_uri.rpartition(":")[2])
    yield from (tenant.bound["access_token"], tenant.bound["refresh_token"])
    yield from tenant.browser.http.cookies.values()
    yield from (str(program.key.as_dict(private=True)["d"]) for program in (tenant.partner, tenant.source))
