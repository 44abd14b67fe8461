"""Checks load records as each scenario may see them; subjects dispute, keep off the record and withhold."""

import pytest

from tests.support.statements import statements_of
from tests.unit.records.conftest import COMPANY, OTHER, Desk, row
from xinyi.kernel.errors import Code, XinyiError
from xinyi.records.model import Withholding
from xinyi.sandbox import identities

pytestmark = pytest.mark.anyio

NOBODY = "sub_00000000000000000000000000"
HONOUR = row(record_type="HONOUR", source_ref="h", fields={"title": "示例", "level": "county", "date": "2026-01-01"})


@pytest.fixture
async def company(desk: Desk) -> str:
    await desk.send([row(), HONOUR])
    async with desk.database.transaction() as tx:
        return await desk.subjects.ensure(tx, COMPANY)


async def _id_of(desk: Desk, record_type: str) -> str:
    return next(record.id for record in await desk.of(COMPANY) if record.record_type == record_type)


async def test_each_subject_and_scenario_gets_its_records(desk: Desk, company: str) -> None:
    wanted = [(company, "bid-bond"), (company, "tech-park"), (NOBODY, "bid-bond")]
    async with desk.database.read() as tx:
        found = await desk.records.load(tx, wanted, ["SOCINS_PAID", "HPF_PAID"])
    assert set(found) == set(wanted)
    [record] = found[company, "bid-bond"]
    assert (record.record_type, record.source, record.source_ref) == ("SOCINS_PAID", "bureau", "ref-1")
    assert (record.disputed, record.suppressed, record.withheld) == (False, False, False)
    assert found[NOBODY, "bid-bond"] == []


async def test_any_number_is_loaded_in_two_queries(desk: Desk, company: str) -> None:
    async with desk.database.read() as tx:
        await desk.records.load(tx, [], [])  # the transaction has begun
        with statements_of(desk.database) as statements:
            await desk.records.load(tx, [(f"sub_{n}", f"s{n % 3}") for n in range(200)] + [(company, "s")], ["HONOUR"])
    assert statements == ["SELECT", "SELECT"]


async def test_what_is_withheld_from_one_scenario_counts_in_others(desk: Desk, company: str) -> None:
    async with desk.database.transaction() as tx:
        await desk.records.withhold(tx, company, "bid-bond", "SOCINS_PAID")
        await desk.records.withhold(tx, company, "bid-bond", "SOCINS_PAID")
        assert await desk.records.withholdings_of(tx, company) == [Withholding("bid-bond", "SOCINS_PAID")]
        found = await desk.records.load(tx, [(company, "bid-bond"), (company, "tech-park")], ["SOCINS_PAID", "HONOUR"])
        flags = {scenario: {r.record_type: r.withheld for r in each} for (_, scenario), each in found.items()}
        assert flags == {
            "bid-bond": {"SOCINS_PAID": True, "HONOUR": False},
            "tech-park": {"SOCINS_PAID": False, "HONOUR": False},
        }
        await desk.records.unwithhold(tx, company, "bid-bond", "SOCINS_PAID")
        assert await desk.records.withholdings_of(tx, company) == []


async def test_a_type_may_be_withheld_before_there_is_a_record(desk: Desk) -> None:
    async with desk.database.transaction() as tx:
        other = await desk.subjects.ensure(tx, OTHER)
        await desk.records.withhold(tx, other, "bid-bond", "HPF_PAID")
        with pytest.raises(XinyiError) as error:
            await desk.records.withhold(tx, other, "bid-bond", "NO_SUCH")
    assert error.value.code is Code.NOT_FOUND


async def test_a_disputed_record_is_flagged_until_the_dispute_is_taken_back(desk: Desk, company: str) -> None:
    record_id = await _id_of(desk, "SOCINS_PAID")
    async with desk.database.transaction() as tx:
        dispute = await desk.disputes.open(tx, company, record_id)
        [record] = (await desk.records.load(tx, [(company, "s")], ["SOCINS_PAID"]))[company, "s"]
        assert record.disputed
        await desk.disputes.take_back(tx, company, dispute.id)
        [record] = (await desk.records.load(tx, [(company, "s")], ["SOCINS_PAID"]))[company, "s"]
        assert not record.disputed


async def test_an_honour_may_be_kept_off_the_record(desk: Desk, company: str) -> None:
    record_id = await _id_of(desk, "HONOUR")
    async with desk.database.transaction() as tx:
        await desk.records.suppress(tx, company, record_id)
        [record] = (await desk.records.load(tx, [(company, "s")], ["HONOUR"]))[company, "s"]
        assert record.suppressed
        await desk.records.unsuppress(tx, company, record_id)
        [record] = (await desk.records.load(tx, [(company, "s")], ["HONOUR"]))[company, "s"]
        assert not record.suppressed


async def test_what_is_no_honour_stays_on_the_record(desk: Desk, company: str) -> None:
    async with desk.database.transaction() as tx:
        with pytest.raises(XinyiError) as error:
            await desk.records.suppress(tx, company, await _id_of(desk, "SOCINS_PAID"))
    assert error.value.code is Code.WRONG_STATE


@pytest.mark.parametrize("action", ["suppress", "unsuppress"])
async def test_nobody_touches_a_stranger_s_record(desk: Desk, company: str, action: str) -> None:
    record_id = await _id_of(desk, "HONOUR")
    async with desk.database.transaction() as tx:
        stranger = await desk.subjects.ensure(tx, identities.company(1, 3))
        with pytest.raises(XinyiError) as error:
            await getattr(desk.records, action)(tx, stranger, record_id)
    assert error.value.code is Code.NOT_FOUND
