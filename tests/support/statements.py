"""The statements that a piece of work sends to the database, by whichever path."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.engine import Engine

from xinyi.storage import sql
from xinyi.storage.database import Database


@contextmanager
def statements_of(database: Database) -> Iterator[list[str]]:
    """Collects the first word of each statement in the block: Core's, and those that the driver runs alone."""
    verbs: list[str] = []
    engine: Engine = database._engine.sync_engine

    def by_core(_c: object, _cursor: object, statement: str, *_: object) -> None:
        verbs.append(statement.split()[0])

    def by_driver(text: str, errors: Any = sql._errors) -> AbstractContextManager[None]:
        verbs.append(text.split()[0])
        return errors(text)  # type: ignore[no-any-return]

    event.listen(engine, "before_cursor_execute", by_core)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sql, "_errors", by_driver)
        yield verbs
    event.remove(engine, "before_cursor_execute", by_core)
