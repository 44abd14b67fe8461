"""What a token may be used for (RFC 6749 §3.3)."""

from enum import StrEnum


class Scope(StrEnum):
    """A closed list; each client has a part of it."""

    CHECKS = "checks"
    CONSENTS = "consents"
    RECORDS = "records"
    PARTNER = "partner"
