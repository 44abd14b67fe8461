"""Who a subject is, without saying it aloud."""

from enum import StrEnum

from msgspec import Struct

from . import regions


class SubjectKind(StrEnum):
    NATURAL_PERSON = "natural_person"
    LEGAL_PERSON = "legal_person"


class Identifier(Struct, frozen=True, cache_hash=True):
    """A validated identifier in its stored form: a resident id (GB 11643) or a USCC (GB 32100).

    Its text shows the kind alone, so that a log line or a traceback never holds the value.
    """

    kind: SubjectKind
    value: str

    @property
    def region(self) -> str:
        """The region code inside (GB/T 2260)."""
        return self.value[:6] if self.kind is SubjectKind.NATURAL_PERSON else self.value[2:8]

    @property
    def is_synthetic(self) -> bool:
        """Whether it belongs to a made-up subject: its region is in a province that doesn't exist."""
        return regions.is_synthetic(self.region)

    @property
    def is_personal(self) -> bool:
        """Whether it is personal information: a person's, or a sole proprietor's (个体工商户, USCC type 92)."""
        return self.kind is SubjectKind.NATURAL_PERSON or self.value.startswith("92")

    def __repr__(self) -> str:
        return f"Identifier(kind={self.kind.value!r})"

    __str__ = __repr__


class IdentifierProblem(StrEnum):
    """Why a text isn't an identifier of a subject. Says nothing about the text itself."""

    LENGTH = "identifier_length"
    CHARACTERS = "identifier_characters"
    CHECK_DIGIT = "identifier_check_digit"
    REGION = "identifier_region"
    BIRTH_DATE = "identifier_birth_date"
    UNDER_AGE = "identifier_under_age"
    SYNTHETIC = "identifier_synthetic"
    NOT_SYNTHETIC = "identifier_not_synthetic"

    @property
    def sentence(self) -> str:
        return _SENTENCES[self]


_SENTENCES = {
    IdentifierProblem.LENGTH: "an identifier has 18 characters",
    IdentifierProblem.CHARACTERS: "the identifier has a character where it can't be",
    IdentifierProblem.CHECK_DIGIT: "the identifier's check character doesn't fit",
    IdentifierProblem.REGION: "the identifier's region doesn't exist",
    IdentifierProblem.BIRTH_DATE: "the identifier's date of birth isn't a past day of the calendar",
    IdentifierProblem.UNDER_AGE: "a subject is 18 or older",
    IdentifierProblem.SYNTHETIC: "synthetic subjects exist in the sandbox only",
    IdentifierProblem.NOT_SYNTHETIC: "the sandbox is for synthetic subjects only, whose region begins with 99",
}


class IdentifierRefused(ValueError):
    """A text isn't an identifier. ``str()`` never holds the text."""

    def __init__(self, problem: IdentifierProblem) -> None:
        super().__init__(problem.sentence)
        self.problem = problem
