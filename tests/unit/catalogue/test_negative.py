"""Plainly negative words are known, and what honours people isn't taken for one."""

from datetime import date
from itertools import chain, islice

import pytest

from xinyi.catalogue.negative import is_negative
from xinyi.catalogue.service import Catalogue
from xinyi.sandbox import personas
from xinyi.sandbox.generator import generate

TODAY = date(2026, 11, 2)


NEGATIVE = (
    "失信被执行人",
    "黑名单",
    "行政处罚",
    "合同违约",
    "欠缴社会保险费",
    "Ｂｌａｃｋｌｉｓｔ",
    "payment overdue",
)
POSITIVE = (
    "示例市示范企业",
    "守信激励对象",
    "与违法犯罪作斗争先进个人",
    "无拖欠工资守信企业",
    "按约归还",
    "Default settings",
)


@pytest.mark.parametrize("text", NEGATIVE)
def test_what_is_negative_is_refused(text: str):
    assert is_negative(text)


@pytest.mark.parametrize("text", POSITIVE)
def test_what_honours_is_taken(text: str):
    assert not is_negative(text)


def test_nothing_made_up_is_negative():
    rows = chain(personas.rows(TODAY), islice(generate(10**6, 7, TODAY), 10_000))
    assert not [row for row in rows if any(is_negative(str(text)) for text in (row.source_ref, *row.fields.values()))]


def test_no_value_of_the_data_list_is_negative():
    for record_type in Catalogue.load():
        texts = [record_type.name.zh, record_type.name.en, *record_type.fields]
        assert not any(map(is_negative, texts)), record_type.code
