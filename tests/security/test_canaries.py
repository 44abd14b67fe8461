"""Nothing that anybody sent, and nothing that is stored, comes out where operators look: logs at DEBUG, standard output
and error, traces, metrics, and the answers to what nobody foresaw.

One tour goes through every route, with canaries in whatever a caller can fill in, twice: within this process, where
traces, metrics and libraries can be watched, and against a server's process, whose output is all that there is.
"""

import io
import logging
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any, Final

import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import generate_latest

from tests.support.canaries import Cage
from tests.support.oauth import Platform, running_platform
from tests.support.pairs import Pair
from tests.support.process import server_process
from tests.support.tenants import SCENARIO, new_tenant, operations
from tests.support.tour import Remote, Tour
from xinyi.telemetry.logs import configure_logging
from xinyi.telemetry.service import Telemetry
from xinyi.telemetry.traces import Traces
from xinyi.wiring import Services

RATES: Final[dict[str, Any]] = dict.fromkeys(("rate_calls", "rate_uploads"), 1_000_000)
LIBRARIES: Final = ("sqlalchemy", "aiosqlite", "redis", "httpx", "httpx2", "authlib", "uvicorn", "litestar", "asyncio")


class Watched:
    """A platform with everything that an operator may look at."""

    def __init__(self, platform: Platform, spans: InMemorySpanExporter, log: io.StringIO) -> None:
        self.platform = platform
        self.spans = spans
        self.log = log

    def everything(self) -> dict[str, str]:
        """What was put out so far, by where."""
        return {
            "log": self.log.getvalue(),
            "traces": "".join(span.to_json() for span in self.spans.get_finished_spans()),
            "metrics": generate_latest(self.platform.service("telemetry").metrics.registry).decode(),
        }


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What we and the libraries log at DEBUG, as the product writes it."""
    stream = io.StringIO()
    levels = {name: logging.getLogger(name).level for name in LIBRARIES}
    configure_logging("DEBUG", stream)
    for name in LIBRARIES:
        logging.getLogger(name).setLevel(logging.DEBUG)
    yield stream
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)


@pytest.fixture
async def watched(tmp_path: Path, pair: Pair, log: io.StringIO) -> AsyncGenerator[Watched]:
    spans = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(spans))
    async with running_platform(tmp_path, pair, telemetry=Telemetry(Traces(provider)), **RATES) as platform:
        yield Watched(platform, spans, log)


async def test_the_tour_puts_nothing_out(watched: Watched, capfd: pytest.CaptureFixture[str]):
    tour = Tour(watched.platform)
    await tour.go()
    out, error = capfd.readouterr()
    for place, text in {**watched.everything(), "out": out, "error": error}.items():
        assert tour.cage.found_in(text) == set(), place
    everything = watched.everything()
    assert '"logger": "sqlalchemy.engine.Engine"' in everything["log"], "the libraries were heard"
    for operation in operations():
        assert f'"http.route": "{operation.path}"' in everything["traces"], "and every route was walked"


async def test_what_nobody_foresaw_is_told_without_its_text(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    cage = Cage()
    tenant = await new_tenant(watched.platform, "person-a")

    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError(cage.new("exception"))

    broken = (
        ("scenarios", "all", "public", "GET", "/v1/scenarios"),
        ("oauth", "push", "public", "POST", "/oauth2/par"),
        ("checks", "run", "checks", "POST", "/v1/checks"),
        ("portal", "consents", "session", "GET", "/me"),
    )
    question = {"scenario": SCENARIO, "consent_id": tenant.things["consent"], "reference": "CASE-9"}
    for service, name, caller, method, path in broken:
        with monkeypatch.context() as patch:
            patch.setattr(type(watched.platform.service(service)), name, fail)
            body: dict[str, Any] = {"json": question} if path == "/v1/checks" else {}
            if path == "/oauth2/par":
                body["data"] = {"client_assertion": "x"}
            answer = await tenant.call(caller, method, path, headers={"accept": "text/html"}, **body)
        assert answer.status_code == 500, (path, answer.text)
        assert cage.found_in(answer.text) == set()
        if service != "checks":  # whose batches are many requests'
            assert answer.headers["x-fapi-interaction-id"] in watched.log.getvalue()
    assert watched.log.getvalue().count('"error": "RuntimeError"') == len(broken)
    for place, text in watched.everything().items():
        assert cage.found_in(text) == set(), place


async def test_a_servers_process_puts_nothing_out(tmp_path: Path, pair: Pair, capfd: pytest.CaptureFixture[str]):
    settings = {name: str(value) for name, value in RATES.items()}
    with server_process(tmp_path, pair, log_level="DEBUG", **settings) as server:
        services = Services.build(pair.settings(tmp_path, issuer=server.url))
        async with services.opened(), aclosing(Remote(services, server.url)) as platform:
            tour = Tour(platform)
            await tour.go()
    out, error = capfd.readouterr()
    assert tour.cage.found_in("".join((*server.log, out, error))) == set()
    assert any('"logger": "uvicorn.error"' in line for line in server.log), "what it logs is seen"


async def test_the_tour_would_find_what_is_put_out(watched: Watched, monkeypatch: pytest.MonkeyPatch):
    """Each place is given one on purpose."""
    tour = Tour(watched.platform)
    tenant = await tour.succeed()
    telemetry = watched.platform.service("telemetry")
    token, code = tenant.bound["access_token"], tenant.code
    logging.getLogger("redis").debug("sent " + code)
    telemetry.metrics.gauge("xinyi_leak", f"The newest token is {token}.", lambda: 1.0)
    assert telemetry.traces is not None
    with telemetry.traces.request() as span:
        span.set_attribute("url.full", f"/oauth2/authorize?code={code}")
    found = {place: tour.cage.found_in(text) for place, text in watched.everything().items()}
    assert code in found["log"]
    assert token in found["metrics"]
    assert code in found["traces"]
