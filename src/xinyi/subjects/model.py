"""Who records are about. Pure."""

from enum import StrEnum


class SubjectKind(StrEnum):
    """The two kinds of credit subject 信用主体."""

    NATURAL_PERSON = "natural_person"
    LEGAL_PERSON = "legal_person"
