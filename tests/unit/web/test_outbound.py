"""What a partner's URL can make this server reach: the public internet, and nothing else."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.support.server import running_server
from xinyi.web.outbound import Outbound, OutboundError, OutboundFailed, OutboundRefused, OutboundResponse

PUBLIC = "93.184.215.14"
PUBLIC_V6 = "2606:2800:21f:cb07:6820:80da:af6b:8b2c"

REFUSED = [
    # this machine, this network
    "127.0.0.1", "127.8.8.8", "0.0.0.0", "10.1.2.3", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1",  # noqa: S104 (to be refused)
    "::1", "::", "fc00::1", "fd12:3456::1", "fe80::1", "fec0::1",
    # metadata of clouds
    "169.254.169.254", "169.254.170.2", "100.100.100.200", "192.0.0.192", "168.63.129.16", "fd00:ec2::254",
    # nobody in particular, or everybody
    "224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "ff02::1", "ff05::1:3",
    # set aside
    "192.0.2.1", "198.51.100.7", "203.0.113.9", "198.18.0.1", "192.88.99.1", "2001:db8::1", "3fff::1", "100::1",
    # IPv4 in IPv6: mapped, compatible, NAT64, 6to4, Teredo, ISATAP
    "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:169.254.169.254", "::127.0.0.1", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::7f00:1", "2002:7f00:1::", "2002:a00:1::1", "2001:0:4136:e378:8000:63bf:80ff:fffe",
    "2606:2800:21f:cb07:0:5efe:10.0.0.1", "2606:2800:21f:cb07:200:5efe:10.0.0.1",
]  # fmt: skip
ALLOWED = [PUBLIC, PUBLIC_V6, "1.1.1.1", "172.32.0.1", f"::ffff:{PUBLIC}", "64:ff9b::5db8:d70e"]


def names(*addresses: str) -> Callable[[str, int], Any]:
    """A resolver that knows one answer."""

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return addresses

    return resolve


def answers(
    seen: list[httpx2.Request], *, status: int = 200, body: bytes = b"{}", headers: dict[str, str] | None = None
) -> httpx2.MockTransport:
    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(status, headers=headers, stream=httpx2.ByteStream(body))

    return httpx2.MockTransport(answer)


async def ask(outbound: Outbound, url: str = "https://keys.partner.example/jwks", **more: Any) -> OutboundResponse:
    return await outbound.get(url, **{"limit_bytes": 1000, "timeout": 5, **more})


@pytest.mark.parametrize("address", REFUSED)
async def test_an_address_that_isnt_public_is_never_asked_by_whatever_name(address: str):
    seen: list[httpx2.Request] = []
    outbound = Outbound(resolve=names(address), transport=answers(seen))
    host = f"[{address}]" if ":" in address else address
    for url in ("https://keys.partner.example/jwks", f"https://{host}/jwks", f"https://{host}:8443/jwks"):
        with pytest.raises(OutboundRefused):
            await ask(outbound, url, timeout=0.01)
    assert seen == []


@pytest.mark.parametrize("address", ALLOWED)
async def test_a_public_address_is_asked_under_the_hosts_name(address: str):
    seen: list[httpx2.Request] = []
    answer = await ask(Outbound(resolve=names(address), transport=answers(seen)))
    assert answer.status == 200
    assert ip_address(seen[0].url.host) == ip_address(address)
    assert seen[0].headers["host"] == "keys.partner.example"
    assert seen[0].extensions["sni_hostname"] == "keys.partner.example"


async def test_one_private_address_among_public_ones_makes_the_name_refused():
    seen: list[httpx2.Request] = []
    for addresses in ((PUBLIC, "10.0.0.1"), (PUBLIC_V6, PUBLIC, "::1")):
        with pytest.raises(OutboundRefused):
            await ask(Outbound(resolve=names(*addresses), transport=answers(seen)), timeout=0.01)
    assert seen == []


async def test_a_name_that_changes_its_address_after_the_look_is_asked_where_it_was_looked_at():
    """DNS rebinding: public at the look, the loopback a moment later."""
    told = [[PUBLIC], ["127.0.0.1"], ["127.0.0.1"]]
    seen: list[httpx2.Request] = []

    async def resolve(_host: str, _port: int) -> Sequence[str]:
        return told.pop(0)

    outbound = Outbound(resolve=resolve, transport=answers(seen))
    assert (await ask(outbound)).status == 200
    assert [request.url.host for request in seen] == [PUBLIC]
    with pytest.raises(OutboundRefused):
        await ask(outbound, timeout=0.01)
    assert len(seen) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://keys.partner.example/jwks",
        "ftp://keys.partner.example/jwks",
        "file:///etc/passwd",
        "gopher://keys.partner.example/",
        "https:///jwks",
        "https://",
        "jwks",
        "",
        "https://user@keys.partner.example/",
        "https://user:password@keys.partner.example/",
        "https://keys.partner.example/#fragment",
        "https://keys.partner.example\\@10.0.0.1/",
        "https://keys.partner.example/\r\nhost: other",
        "https://ｋeys.partner.example/",
        "https://127.1/",
        "https://2130706433/",
        "https://0x7f000001/",
        "https://0x7f.1/",
        "https://017700000001/",
        "https://127.0.0.1./",
        "https://[fe80::1%25eth0]/",
        "https://[::1",
        "https://keys..partner.example/",
        "https://keys.partner.example../",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 126}example/",
        "https://keys.partner.example:99999/",
        "https://keys.partner.example/" + "a" * 2000,
    ],
)
async def test_a_url_that_can_be_read_in_two_ways_is_refused(url: str):
    seen: list[httpx2.Request] = []
    outbound = Outbound(resolve=names(PUBLIC), transport=answers(seen))
    with pytest.raises(OutboundRefused):
        await ask(outbound, url)
    with pytest.raises(OutboundRefused):
        outbound.check(url)
    assert seen == []


@pytest.mark.parametrize("known", ["10.0.0.1", None], ids=["inside", "nowhere"])
async def test_a_name_that_isnt_asked_takes_as_long_whether_it_leads_inside_or_nowhere(known: str | None):
    """Whoever can choose the name and watch the time would learn which names are known in this network."""

    async def hangs(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    for resolve in (names(known) if known else names(), hangs):
        begun = asyncio.get_running_loop().time()
        with pytest.raises(OutboundError):
            await ask(Outbound(resolve=resolve), timeout=0.1)
        assert 0.1 <= asyncio.get_running_loop().time() - begun < 1


async def test_a_redirect_is_told_and_not_followed():
    seen: list[httpx2.Request] = []
    transport = answers(seen, status=302, headers={"location": "http://169.254.169.254/"})
    assert (await ask(Outbound(resolve=names(PUBLIC), transport=transport))).status == 302
    assert len(seen) == 1


async def test_a_body_is_read_up_to_its_limit_and_never_unpacked():
    outbound = Outbound(resolve=names(PUBLIC), transport=answers([], body=b"x" * 1000))
    assert (await ask(outbound)).body == b"x" * 1000
    with pytest.raises(OutboundFailed, match="over 999 bytes"):
        await ask(outbound, limit_bytes=999)
    packed = Outbound(resolve=names(PUBLIC), transport=answers([], headers={"content-encoding": "gzip"}))
    with pytest.raises(OutboundFailed, match="compressed"):
        await ask(packed)


async def test_all_of_it_must_come_in_time():
    class Drip(httpx2.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            yield b"{"
            await asyncio.Event().wait()

    def drips(_request: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(200, stream=Drip())

    async def hangs(_host: str, _port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    for slow in (Outbound(resolve=names(PUBLIC), transport=httpx2.MockTransport(drips)), Outbound(resolve=hangs)):
        with pytest.raises(OutboundFailed, match="no whole answer"):
            await ask(slow, timeout=0.01)


async def test_the_next_address_is_asked_when_one_cant_be_reached():
    def answer(request: httpx2.Request) -> httpx2.Response:
        if request.url.host != PUBLIC:
            raise httpx2.ConnectError("unreachable")
        return httpx2.Response(200, stream=httpx2.ByteStream(b"{}"))

    both = Outbound(resolve=names(PUBLIC_V6, PUBLIC), transport=httpx2.MockTransport(answer))
    assert (await ask(both)).status == 200
    with pytest.raises(OutboundFailed, match="ConnectError"):
        await ask(Outbound(resolve=names(PUBLIC_V6), transport=httpx2.MockTransport(answer)))


async def test_a_name_that_isnt_known_fails():
    async def unknown(_host: str, _port: int) -> Sequence[str]:
        raise OSError

    async def unwritable(host: str, _port: int) -> Sequence[str]:
        raise UnicodeEncodeError("idna", host, 0, 1, "the codec of some resolvers has its own idea of names")

    for resolve in (unknown, unwritable, names()):
        with pytest.raises(OutboundFailed, match="resolved"):
            await ask(Outbound(resolve=resolve), timeout=0.01)


async def test_an_international_name_is_looked_for_as_it_is_written():
    seen: list[httpx2.Request] = []
    looked_for: list[str] = []

    async def resolve(host: str, _port: int) -> Sequence[str]:
        looked_for.append(host)
        return [PUBLIC]

    await ask(Outbound(resolve=resolve, transport=answers(seen)), "https://xn--strae-oqa.example/jwks")
    assert looked_for == ["xn--strae-oqa.example"], "not strasse.example, who is somebody else"
    assert seen[0].extensions["sni_hostname"] == seen[0].headers["host"] == "xn--strae-oqa.example"


async def test_a_post_brings_its_body_and_headers():
    seen: list[httpx2.Request] = []
    outbound = Outbound(resolve=names(PUBLIC), transport=answers(seen, status=204))
    answer = await outbound.post(
        "https://hooks.partner.example:8443/hook?a=b",
        body=b'{"id":1}',
        headers={"content-type": "application/json", "webhook-id": "evt_1"},
        limit_bytes=1000,
        timeout=5,
    )
    assert answer.status == 204
    assert (seen[0].method, seen[0].content) == ("POST", b'{"id":1}')
    assert str(seen[0].url) == f"https://{PUBLIC}:8443/hook?a=b"
    assert seen[0].headers["host"] == "hooks.partner.example:8443"
    assert seen[0].headers["webhook-id"] == "evt_1"
    assert seen[0].headers["accept-encoding"] == "identity"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """An application that tells by which name it was asked."""
    if scope["type"] == "lifespan":
        while True:
            await send({"type": f"{(await receive())['type']}.complete"})
    body = (await receive()).get("body", b"")
    host = dict(scope["headers"])[b"host"]
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-host", host)]})
    await send({"type": "http.response.body", "body": body})


def certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """A certificate for ``name`` that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "certificate.pem", folder / "key.pem"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


async def test_the_certificate_must_be_the_names_though_an_address_is_asked(tmp_path: Path):
    certificate_file, key_file = certificate(tmp_path, "keys.partner.example")
    tls = ssl.create_default_context(cafile=str(certificate_file))
    options = {"ssl_certfile": certificate_file, "ssl_keyfile": key_file}
    with running_server(lambda _url: echo, **options) as server:
        port = server.url.rpartition(":")[2]
        origins = [f"https://{name}.partner.example:{port}" for name in ("keys", "other")]
        outbound = Outbound(loopback_origins=origins, resolve=names("127.0.0.1"), tls=tls)
        answer = await outbound.post(f"{origins[0]}/hook", body=b"{}", headers={}, limit_bytes=10, timeout=5)
        assert (answer.status, answer.body, answer.headers["x-host"]) == (
            200,
            b"{}",
            origins[0].removeprefix("https://"),
        )
        with pytest.raises(OutboundFailed):
            await ask(outbound, f"{origins[1]}/hook")


async def test_the_loopback_is_asked_only_at_the_origins_that_are_named(tmp_path: Path):
    with running_server(lambda _url: echo) as server:
        outbound = Outbound(loopback_origins=[server.url], resolve=names("127.0.0.1"))
        assert (await ask(outbound, f"{server.url}/jwks")).status == 200
        for url in (f"{server.url}1/jwks", server.url.replace("127.0.0.1", "localhost"), "http://127.0.0.1/jwks"):
            with pytest.raises(OutboundRefused):
                await ask(outbound, url, timeout=0.01)
    moved = Outbound(loopback_origins=["http://localhost:9000"], resolve=names("10.0.0.1"))
    with pytest.raises(OutboundRefused):
        await ask(moved, "http://localhost:9000/jwks", timeout=0.01)
