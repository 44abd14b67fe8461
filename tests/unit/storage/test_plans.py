"""What is asked often is asked by an index from the first row on: a plan is kept, and no statistics are waited for."""

import importlib
import pkgutil
import re
from collections.abc import Iterator
from pathlib import Path

import xinyi
from tests.support.pairs import Servers
from xinyi.storage.database import Database
from xinyi.storage.sql import Prepared


def hot_statements() -> Iterator[tuple[str, Prepared]]:
    for module in pkgutil.walk_packages(xinyi.__path__, "xinyi."):
        if ".migrations" not in module.name and not module.name.endswith("__main__"):
            found = vars(importlib.import_module(module.name))
            yield from ((f"{module.name}.{name}", each) for name, each in found.items() if isinstance(each, Prepared))


async def test_no_hot_statement_reads_a_table_from_end_to_end(servers: Servers, tmp_path: Path) -> None:
    statements, scanning = list(hot_statements()), []
    database = Database(servers.database_url(tmp_path), pool_size=1)
    async with database.read() as tx:
        await tx.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
        for name, statement in statements:
            text = statement.text(tx.dialect)
            values = ["NULL"] * len(set(re.findall(r"\$\d+", text)))
            await tx.exec_driver_sql(f"PREPARE hot AS {text}")
            plan = await tx.exec_driver_sql("EXPLAIN EXECUTE hot" + (f"({', '.join(values)})" if values else ""))
            if any("Seq Scan" in line and "ledger_head" not in line for line in plan.scalars()):  # which has one row
                scanning.append(name)
            await tx.exec_driver_sql("DEALLOCATE hot")
    await database.close()
    assert len(statements) > 10
    assert scanning == []
