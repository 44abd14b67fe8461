"""Column types and the metadata that every room's tables join."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import msgspec
from sqlalchemy import DateTime, Dialect, MetaData, Text
from sqlalchemy.types import TypeDecorator

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware datetime in UTC: TIMESTAMPTZ on PostgreSQL, text on SQLite (which knows no zones)."""

    impl = DateTime(timezone=True)
    cache_ok = True

    # The processors themselves: a batch converts thousands of times, and SQLAlchemy's chain costs thrice as much.

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], datetime | str | None]:
        return _as_text if dialect.name == "sqlite" else _as_utc

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], datetime | None] | None:
        return _from_text if dialect.name == "sqlite" else None  # PostgreSQL's driver gives UTC


def _as_utc(value: datetime | None) -> datetime | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError("a naive datetime can't be stored")
    return value.astimezone(UTC)


@lru_cache(maxsize=1024)
def _as_text(value: datetime | None) -> str | None:
    """All rows of a batch have the same moment."""
    moment = _as_utc(value)
    return None if moment is None else moment.replace(tzinfo=None).isoformat(" ", "microseconds")


def _from_text(value: str | None) -> datetime | None:
    return None if value is None else datetime.fromisoformat(value + "+00:00")


class Json(TypeDecorator[Any]):
    """A JSON value kept as text, so that both databases give back exactly what was stored."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        return _encoded

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Any]:
        return _decoded


def _encoded(value: Any) -> str | None:
    return None if value is None else msgspec.json.encode(value).decode()


def _decoded(value: str | None) -> Any:
    return None if value is None else msgspec.json.decode(value)
