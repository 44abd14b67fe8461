"""Who changes records at a time, in one order for the room, so that no two ever wait for each other.

First the source's turn, then those of its records, in the order of their ids, and the subjects' last
(:meth:`.keeping_off.KeptOff.take_turn`). A turn may be left out and is never made up for: who has a record's doesn't
ask for its source's any more. Turns end with the transaction.
"""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncConnection

from ..storage.sql import take_turns


async def of_source(tx: AsyncConnection, source_id: str) -> None:
    """Until the transaction ends nobody else stores or takes back what this source sends."""
    await take_turns(tx, f"records of {source_id}")


async def of_records(tx: AsyncConnection, record_ids: Collection[str]) -> None:
    """Until the transaction ends nobody else contests one of these records, nor settles a dispute about it."""
    for record_id in sorted(record_ids):
        await take_turns(tx, f"record {record_id}")
