"""What a partner may say about what came of a check: a closed list, and nothing negative in it. Pure."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Final

from msgspec import Meta, Struct

from ..kernel.text import Text


class Result(StrEnum):
    """What became of the incentive. There is no word for how anybody behaved."""

    OFFERED = "offered"
    GRANTED = "granted"
    NOT_USED = "not_used"


class BenefitBand(StrEnum):
    """What the incentive was worth to the subject, in yuan: a deposit not paid, a discount, interest."""

    UP_TO_100 = "up_to_100"
    UP_TO_500 = "up_to_500"
    UP_TO_2000 = "up_to_2000"
    UP_TO_10000 = "up_to_10000"
    OVER_10000 = "over_10000"


RESULTS: Final = {
    Result.OFFERED: Text("已提供", "The incentive was offered"),
    Result.GRANTED: Text("已兑现", "The incentive was granted"),
    Result.NOT_USED: Text("未使用", "The incentive wasn't used"),
}
assert set(RESULTS) == set(Result), "each result has its words"
BANDS: Final = {
    BenefitBand.UP_TO_100: Text("100 元以内", "up to 100 yuan"),
    BenefitBand.UP_TO_500: Text("500 元以内", "up to 500 yuan"),
    BenefitBand.UP_TO_2000: Text("2000 元以内", "up to 2,000 yuan"),
    BenefitBand.UP_TO_10000: Text("1 万元以内", "up to 10,000 yuan"),
    BenefitBand.OVER_10000: Text("1 万元以上", "over 10,000 yuan"),
}
assert set(BANDS) == set(BenefitBand), "each band has its words"


class Feedback(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What came of a check."""

    result: Annotated[Result, Meta(description="What became of the incentive.", examples=["granted"])]
    benefit_band: (
        Annotated[
            BenefitBand,
            Meta(
                description="What it was worth to the subject, in yuan; only of one that was granted.",
                examples=["up_to_500"],
            ),
        ]
        | None
    ) = None

    def __post_init__(self) -> None:
        if self.benefit_band is not None and self.result is not Result.GRANTED:
            raise ValueError("benefit_band is of an incentive that was granted")


class StoredFeedback(Struct, frozen=True):
    """Feedback as it stands, since when there is any, and since when it is this."""

    check_id: str
    feedback: Feedback
    created_at: datetime
    changed_at: datetime
