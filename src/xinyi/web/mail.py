"""Plain-text mail over SMTP, by whatever server the settings name."""

import smtplib
import ssl
from email.errors import MessageError
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path

import anyio.to_thread
from msgspec import Struct

from ..settings import MailSecurity

_WITHIN = 10.0
"""Seconds that each step with the server may take."""


class MailServer(Struct, frozen=True, kw_only=True):
    """Where mail is handed in. ``password_file`` holds the password of ``user``, and nothing else."""

    host: str
    port: int
    security: MailSecurity
    sender: str
    user: str | None = None
    password_file: Path | None = None


class MailError(Exception):
    """The mail server couldn't be reached, or refused the mail. ``str()`` never holds an address."""


def is_address(text: str) -> bool:
    """Whether mail can be sent there: RFC 5322's ``addr-spec`` in ASCII, with a local part and a domain."""
    return text.isascii() and _address(text) is not None


def _address(text: str) -> Address | None:
    try:
        address = Address(addr_spec=text)
    except (MessageError, ValueError, LookupError, AttributeError):  # all of them are raised for what is no address
        return None
    return address if address.username and address.domain else None


class Mailer:
    """Hands mail in. The mail server knows the address; nothing here logs it."""

    def __init__(self, server: MailServer) -> None:
        self._server = server

    async def send(self, to: str, subject: str, text: str) -> None:
        """Sends one mail. Raises :class:`MailError`: then it may be tried again."""
        address = _address(to)
        if address is None:
            raise MailError("the address isn't one")
        message = EmailMessage()
        message["From"] = self._server.sender
        message["To"] = address
        message["Subject"] = subject
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no machine answers it
        message.set_content(text)
        await anyio.to_thread.run_sync(self._hand_in, message)

    def _hand_in(self, message: EmailMessage) -> None:
        server = self._server
        tls = ssl.create_default_context()
        try:
            with (
                smtplib.SMTP_SSL(server.host, server.port, timeout=_WITHIN, context=tls)
                if server.security is MailSecurity.TLS
                else smtplib.SMTP(server.host, server.port, timeout=_WITHIN)
            ) as smtp:
                if server.security is MailSecurity.STARTTLS:
                    smtp.starttls(context=tls)
                if server.user is not None and server.password_file is not None:
                    smtp.login(server.user, server.password_file.read_text("utf-8").strip())
                smtp.send_message(message)
        except (OSError, smtplib.SMTPException, ValueError) as error:  # ValueError: what can't be written in a mail
            raise MailError(type(error).__name__) from None
