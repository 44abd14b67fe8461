"""The sandbox's sources of records, one for each kind of body in the data list."""

from typing import Final

from msgspec import Struct
from sqlalchemy.ext.asyncio import AsyncConnection

from ..kernel.text import Text
from ..partners.service import PartnerService


class SandboxSource(Struct, frozen=True):
    """A made-up body, and the record types that it supplies."""

    id: str
    name: Text
    record_types: tuple[str, ...]


SOURCES: Final = (
    SandboxSource("civil-affairs", Text("示例民政部门", "Sample civil affairs bureau"), ("DONATION", "VOLUNTEER")),
    SandboxSource("customs", Text("示例海关", "Sample customs"), ("AEO",)),
    SandboxSource("housing-fund", Text("示例公积金中心", "Sample housing fund centre"), ("HPF_PAID",)),
    SandboxSource("human-resources", Text("示例人社部门", "Sample human resources bureau"), ("PRO_QUAL",)),
    SandboxSource("land", Text("示例不动产登记中心", "Sample land registry"), ("PROPERTY",)),
    SandboxSource(
        "municipality",
        Text("示例市级部门", "Sample municipal departments"),
        ("BRAVERY", "COMMITMENT", "CONTRACT_PERF", "HONOUR", "LICENCE", "REDLIST"),
    ),
    SandboxSource("patents", Text("示例知识产权局", "Sample patent office"), ("PATENT",)),
    SandboxSource("rentals", Text("示例共享租赁平台", "Sample rental platform"), ("MKT_RENTAL",)),
    SandboxSource("social-security", Text("示例社保中心", "Sample social insurance centre"), ("SOCINS_PAID",)),
    SandboxSource("tax", Text("示例税务部门", "Sample tax authority"), ("TAX_ONTIME", "TAX_RATING")),
    SandboxSource("technology", Text("示例科技工信部门", "Sample technology bureau"), ("TECH_CERT",)),
    SandboxSource("trades", Text("示例交易平台", "Sample trading platform"), ("MKT_TRADE",)),
    SandboxSource(
        "utilities", Text("示例公用事业公司", "Sample utility company"), ("UTIL_ELEC", "UTIL_GAS", "UTIL_WATER")
    ),
)

SOURCE_OF: Final = {record_type: source.id for source in SOURCES for record_type in source.record_types}
"""Which source supplies a record type."""


async def register(tx: AsyncConnection, partners: PartnerService) -> None:
    """Registers the sandbox's sources that aren't there yet. They have no client: their files are imported."""
    known = {source.id for source in await partners.sources(tx)}
    for source in SOURCES:
        if source.id not in known:
            await partners.add_source(tx, source.id, source.name, source.record_types)
