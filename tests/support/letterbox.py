"""A mail server on the loopback that keeps what it takes."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any

from aiosmtpd.smtp import SMTP

from xinyi.settings import MailSecurity


class Letterbox:
    """A mail server that keeps what it takes, or refuses it."""

    def __init__(self) -> None:
        self.taken: list[tuple[list[str], EmailMessage]] = []
        self.answer = "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 (aiosmtpd's name)
        if self.answer.startswith("250"):
            message = message_from_bytes(envelope.content, policy=policy.default)
            assert isinstance(message, EmailMessage)
            self.taken.append((envelope.rcpt_tos, message))
        return self.answer


@asynccontextmanager
async def listening(letterbox: Letterbox) -> AsyncGenerator[dict[str, Any]]:
    """The settings of an installation that hands its mail in there."""
    server = await asyncio.get_running_loop().create_server(lambda: SMTP(letterbox), "127.0.0.1", 0)
    async with server:
        yield {
            "mail_host": "127.0.0.1",
            "mail_port": int(server.sockets[0].getsockname()[1]),
            "mail_security": MailSecurity.NONE,
            "mail_from": "no-reply@credit-centre.example",
        }
