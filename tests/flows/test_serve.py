"""`xinyi serve` starts only as somebody must have meant it."""

import errno
import os
import resource
import socket
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from tests.support.pairs import Embedded
from tests.support.process import server_process
from xinyi.cli import main
from xinyi.cli.serve import _make_room


def test_a_sandbox_that_others_can_reach_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    refused = CliRunner().invoke(main, ["serve", "--host", "0.0.0.0", "--port", "0"])  # noqa: S104 (what is refused)
    assert refused.exit_code == 1
    assert "0.0.0.0 can be reached by others: listen on 127.0.0.1, or say --allow-remote-sandbox" in refused.output


def test_a_sandbox_is_reached_by_others_when_that_is_said(tmp_path: Path, embedded: Embedded):
    with server_process(tmp_path, embedded, "--host", "0.0.0.0", "--allow-remote-sandbox") as server:  # noqa: S104
        assert server.process.poll() is None


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_sandbox_on_this_machine_needs_no_word(tmp_path: Path, embedded: Embedded, host: str):
    with server_process(tmp_path, embedded, "--host", host) as server:
        assert server.process.poll() is None


def test_it_bounds_what_comes_before_the_headers_end_and_how_many_come(tmp_path: Path, embedded: Embedded):
    with server_process(tmp_path, embedded, connections="10") as server:
        parts = urlsplit(server.url)
        address = (parts.hostname or "", parts.port or 0)
        with socket.create_connection(address, timeout=10) as caller:
            caller.sendall(b"GET / HTTP/1.1\r\nhost: x\r\na: " + b"a" * 40_000)
            assert caller.recv(1000).startswith(b"HTTP/1.1 431 ")
        guests = [socket.create_connection(address, timeout=10) for _ in range(10)]
        with socket.create_connection(address, timeout=10) as late:
            assert late.recv(1000) == b""
        for guest in guests:
            guest.close()


@pytest.mark.parametrize("command", [["serve"], ["sandbox", "serve", "--redirect-uri", "https://partner.example/back"]])
def test_a_port_that_is_taken_names_the_option(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: list[str]):
    monkeypatch.setenv("XINYI_DATA_DIR", str(tmp_path))
    jwks = tmp_path / "jwks.json"
    jwks.write_text('{"keys": []}')
    given = ["--jwks", str(jwks)] if command[0] == "sandbox" else []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        refused = CliRunner().invoke(main, [*command, *given, "--port", str(port)])
    assert refused.exit_code == 1
    assert refused.output.endswith(f"127.0.0.1:{port}: {os.strerror(errno.EADDRINUSE)}; take another --port\n")


def test_it_makes_room_for_connections_as_far_as_the_system_allows(monkeypatch: pytest.MonkeyPatch):
    limits = [(1024, 4096)]
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits[-1])
    monkeypatch.setattr(resource, "setrlimit", lambda _, new: limits.append(new))
    assert _make_room(2000) == 2000
    assert limits[-1] == (2250, 4096)
    assert _make_room(10_000) == 4096 - 250
    assert limits[-1] == (4096, 4096)
