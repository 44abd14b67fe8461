"""The behaviour list 行为清单: what a partner may and may not do with an answer. Pure."""

from typing import Annotated

from msgspec import Meta, Struct

from ..kernel.text import Text
from .model import Slug


class Behaviour(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """One thing that a partner may (``allowed``) or may not do."""

    id: Slug
    allowed: Annotated[bool, Meta(description="Whether a partner may do this.")]
    text: Annotated[Text, Meta(description="What it is.")]
    basis: Annotated[Text | None, Meta(description="The rule behind it, where a law says so.")] = None


class BehaviourFile(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """The whole list."""

    behaviours: Annotated[tuple[Behaviour, ...], Meta(min_length=1)]

    def __post_init__(self) -> None:
        ids = [behaviour.id for behaviour in self.behaviours]
        if len(set(ids)) != len(ids):
            raise ValueError("an id stands here twice")
