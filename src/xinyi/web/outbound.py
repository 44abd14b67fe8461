"""Requests to addresses that a partner chose, which must never reach what only this machine can reach (SSRF).

https alone, no redirects, no proxies; a host is resolved once, every address that it has must be a public one, and the
connection goes to the address that was looked at, whatever the name says a moment later. The certificate is still
checked against the name. Whether a name that isn't asked leads inside or nowhere doesn't show in how long that takes.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Final

import httpx2
from msgspec import Struct

MAX_URL: Final = 2000
_MOST_ADDRESSES: Final = 4
"""How many addresses of a host are tried, one after the other."""

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]
"""Gives the addresses of a host and port, the preferred ones first. Raises ``OSError`` when there are none."""

_REFUSED_V4: Final = [
    ipaddress.IPv4Network(network)
    for network in (
        # The IANA special-purpose registry (RFC 6890), wider where a range has exceptions, and multicast.
        "0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12", "192.0.0.0/24",
        "192.0.2.0/24", "192.31.196.0/24", "192.52.193.0/24", "192.88.99.0/24", "192.168.0.0/16", "192.175.48.0/24",
        "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24", "224.0.0.0/4", "240.0.0.0/4",
        "168.63.129.16/32",  # a cloud's metadata and agents, at an address that looks public
    )
]  # fmt: skip
_GLOBAL_V6: Final = ipaddress.IPv6Network("2000::/3")
"""The only block that holds global unicast addresses (RFC 4291 §2.4)."""
_REFUSED_V6: Final = [
    ipaddress.IPv6Network(network)
    for network in (
        "2001::/23",  # IETF protocols: Teredo, benchmarking, ORCHID
        "2001:db8::/32", "3fff::/20",  # documentation
        "2002::/16",  # 6to4 wraps any IPv4 address
        "2620:4f:8000::/48",  # AS112
    )
]  # fmt: skip
_MAX_NAME: Final = 253
_MAX_LABEL: Final = 63
"""How long a host's name and its parts may be (RFC 1035 §2.3.4): some resolvers have no answer for longer ones."""
_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")
_ISATAP: Final = frozenset({0x00005EFE, 0x02005EFE})


class OutboundError(Exception):
    """The request has no answer. ``str()`` says why in one sentence, without anything that was sent or received."""


class OutboundRefused(OutboundError):
    """The URL is one that nothing is sent to."""


class OutboundFailed(OutboundError):
    """The other side couldn't be reached, was too slow, or sent too much."""


class OutboundResponse(Struct, frozen=True):
    """What came back, whatever its status; redirects are not followed."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes


class Outbound:
    """Sends requests to URLs of others.

    ``loopback_origins``: origins, such as ``http://127.0.0.1:9000``, that are on the loopback and may be asked all the
    same, without https too. Only the sandbox and tests have any. ``resolve``, ``tls`` and ``transport`` are for tests.
    """

    def __init__(
        self,
        *,
        loopback_origins: Collection[str] = (),
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self._loopback = frozenset(loopback_origins)
        self._resolve = resolve or _System()
        self._tls = tls
        self._transport = transport

    def check(self, url: str) -> None:
        """Raises :class:`OutboundRefused` for a URL that is refused whatever its name resolves to."""
        self._parsed(url)

    async def get(
        self,
        url: str,
        *,
        limit_bytes: int,
        timeout: float,  # noqa: ASYNC109 (it is kept by asyncio.timeout)
        headers: Mapping[str, str] | None = None,
    ) -> OutboundResponse:
        """The answer to GET. ``timeout`` counts in seconds for all of it, the body included.

        Raises :class:`OutboundRefused` and :class:`OutboundFailed`, the latter also for a body over ``limit_bytes``.
        """
        return await self._send("GET", url, None, headers or {}, limit_bytes, timeout)

    async def post(
        self,
        url: str,
        *,
        body: bytes,
        headers: Mapping[str, str],
        limit_bytes: int,
        timeout: float,  # noqa: ASYNC109
    ) -> OutboundResponse:
        """The answer to POST, as :meth:`get`."""
        return await self._send("POST", url, body, headers, limit_bytes, timeout)

    async def _send(
        self, method: str, url: str, body: bytes | None, headers: Mapping[str, str], limit_bytes: int, seconds: float
    ) -> OutboundResponse:
        parsed = self._parsed(url)
        deadline = asyncio.get_running_loop().time() + seconds
        try:
            addresses = await self._looked_up(parsed, deadline)
            async with asyncio.timeout_at(deadline):
                for address in addresses[:-1]:
                    try:
                        return await self._ask(method, parsed, address, body, headers, limit_bytes)
                    except httpx2.ConnectError:
                        continue
                return await self._ask(method, parsed, addresses[-1], body, headers, limit_bytes)
        except TimeoutError:
            raise OutboundFailed(f"there was no whole answer within {seconds:.0f} s") from None
        except (httpx2.HTTPError, OSError, UnicodeError) as error:  # UnicodeError: a name that IDNA can't write
            # Only the kind is told: a message of the network's may hold what was received.
            raise OutboundFailed(f"the request failed: {type(error).__name__}") from None

    async def _ask(
        self,
        method: str,
        url: httpx2.URL,
        address: Address,
        body: bytes | None,
        headers: Mapping[str, str],
        limit_bytes: int,
    ) -> OutboundResponse:
        """One request to the address, under the host's name.

        A client for each: kept connections are told apart by address alone, and two names may share one.
        """
        client = httpx2.AsyncClient(
            verify=self._tls or trusted(),
            transport=self._transport,
            trust_env=False,
            follow_redirects=False,
            timeout=httpx2.Timeout(None),  # whoever calls counts the time of all of it
        )
        async with client:
            request = client.build_request(
                method,
                url.copy_with(host=str(address)),
                content=body,
                headers={**headers, "host": url.netloc.decode(), "accept-encoding": "identity"},
                extensions={"sni_hostname": _name(url)},
            )
            response = await client.send(request, stream=True)
            try:
                received = bytearray()
                async for chunk in response.aiter_raw():
                    received += chunk
                    if len(received) > limit_bytes:
                        raise OutboundFailed(f"the answer is over {limit_bytes} bytes")
            finally:
                await response.aclose()
        if response.headers.get("content-encoding", "identity") != "identity":
            raise OutboundFailed("the answer is compressed, which wasn't asked for")
        return OutboundResponse(response.status_code, dict(response.headers), bytes(received))

    def _parsed(self, url: str) -> httpx2.URL:
        if len(url) > MAX_URL or not url.isascii() or not url.isprintable() or any(c in url for c in ' "<>\\^`{|}#'):
            raise OutboundRefused(f"a URL has at most {MAX_URL} characters that RFC 3986 allows, and no fragment")
        try:
            parsed = httpx2.URL(url)
        except httpx2.InvalidURL:
            raise OutboundRefused("the URL can't be parsed") from None
        if parsed.port is not None and not 0 < parsed.port < 1 << 16:
            raise OutboundRefused("the URL's port is none")
        if not parsed.host or parsed.userinfo:
            raise OutboundRefused("a URL names a host and no user")
        if parsed.scheme != "https" and _origin(parsed) not in self._loopback:
            raise OutboundRefused("a URL is https")
        literal = _literal(parsed.host)
        if literal is not None:
            self._require_allowed(parsed, literal)
        return parsed

    async def _looked_up(self, url: httpx2.URL, deadline: float) -> list[Address]:
        """As :meth:`_addresses`, by the deadline. A name that isn't asked takes all of the time until then: one that is
        known inside, and so refused, would be told from one that isn't known at all."""
        try:
            async with asyncio.timeout_at(deadline):
                return await self._addresses(url)
        except OutboundError:
            await asyncio.sleep(deadline - asyncio.get_running_loop().time())
            raise

    async def _addresses(self, url: httpx2.URL) -> list[Address]:
        """The host's addresses, all of them fit to be asked; one that isn't makes the name refused."""
        literal = _literal(url.host)
        if literal is not None:
            return [literal]
        try:
            found = await self._resolve(_name(url), url.port or 443)
        except (OSError, UnicodeError):
            raise OutboundFailed("the host's name can't be resolved") from None
        addresses = [ipaddress.ip_address(text.partition("%")[0]) for text in found]
        if not addresses:
            raise OutboundFailed("the host's name can't be resolved")
        for address in addresses:
            self._require_allowed(url, address)
        return addresses[:_MOST_ADDRESSES]

    def _require_allowed(self, url: httpx2.URL, address: Address) -> None:
        allowed = address.is_loopback if _origin(url) in self._loopback else is_public(address)
        if not allowed:
            raise OutboundRefused("the host isn't at a public address")


def is_public(address: Address) -> bool:
    """Whether the address is reached through the public internet, whatever network this machine stands in."""
    if isinstance(address, ipaddress.IPv4Address):
        return not any(address in network for network in _REFUSED_V4)
    if address.ipv4_mapped is not None:
        return is_public(address.ipv4_mapped)
    if address in _NAT64:
        return is_public(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    if (int(address) >> 32) & 0xFFFFFFFF in _ISATAP:
        return False
    return address in _GLOBAL_V6 and not any(address in network for network in _REFUSED_V6)


@cache
def trusted() -> ssl.SSLContext:
    """The certificate authorities that this machine trusts: read when first needed, which takes a while."""
    return ssl.create_default_context()


def _literal(host: str) -> Address | None:
    """The address that ``host`` is, or ``None`` for a name. Raises :class:`OutboundRefused` for what is neither."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        # 127.1, 0x7f000001 and 017700000001 are addresses to some resolvers: names don't end in a number.
        labels = host.removesuffix(".").split(".")
        fits = len(host) <= _MAX_NAME and all(1 <= len(label) <= _MAX_LABEL for label in labels)
        if not fits or labels[-1][0].isdigit() or ":" in host:
            raise OutboundRefused("the URL's host is neither a name nor an address in its usual form") from None
        return None
    if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
        raise OutboundRefused("the URL's host is an address of one network link")
    return address


def _name(url: httpx2.URL) -> str:
    """The host as it is written: ``url.host`` has the letters of an international name, which Python's own codec
    (IDNA 2003) may write as another name (``ß`` becomes ``ss``)."""
    return url.raw_host.decode("ascii")


def _origin(url: httpx2.URL) -> str:
    return f"{url.scheme}://{url.netloc.decode()}"


class _System:
    """The machine's resolver, in threads of its own: slow name servers of partners hold up nobody else."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(max_workers=4, thread_name_prefix="outbound-names")

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(
            self._threads, lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
        )
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))
