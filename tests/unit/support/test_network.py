"""The guard that keeps tests on this machine."""

import asyncio
import socket

import pytest

from tests.support.network import NetworkForbidden


def test_connections_to_other_machines_are_refused() -> None:
    with socket.socket() as outside, pytest.raises(NetworkForbidden):
        outside.connect(("192.0.2.1", 80))


def test_look_ups_of_other_names_are_refused() -> None:
    with pytest.raises(NetworkForbidden):
        socket.getaddrinfo("credit.example", 443)


async def test_asyncio_is_guarded_as_well() -> None:
    with pytest.raises(NetworkForbidden):
        await asyncio.open_connection("192.0.2.1", 80)
