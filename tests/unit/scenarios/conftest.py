"""A folder of one's own with the data list and one scenario, to be broken in one place at a time."""

import shutil
from pathlib import Path

import pytest

from xinyi.catalogue.location import scenarios_dir
from xinyi.catalogue.service import Catalogue

SCENARIO = """\
id: sample
version: 2
name: {zh: 示例, en: Sample}
partner_kinds: [shop]
subject_kind: legal_person
purpose: {zh: 目的, en: Purpose}
legal_basis: {zh: 依据, en: Basis}
incentive: {zh: 激励, en: Incentive}
fallback: {zh: 备选, en: Fallback}
criteria:
  - id: tax-rating
    record: TAX_RATING
    test: {grade: {in: [A, B]}}
    max_age: 400d
    necessity: {zh: 必要, en: Needed}
    disclose: value
    fields: [grade]
    disclosure_reason: {zh: 理由, en: Reason}
  - id: tax-on-time
    record: TAX_ONTIME
    test: {months: {at_least: 12}}
    max_age: 62d
    necessity: {zh: 必要, en: Needed}
    disclose: band
    bands: {months: [12, 24]}
    disclosure_reason: {zh: 理由, en: Reason}
  - id: incentive-list
    record: REDLIST
    max_age: 400d
    necessity: {zh: 必要, en: Needed}
  - id: patents
    record: PATENT
    test: {count: {at_least: 2}}
    max_age: 184d
    necessity: {zh: 必要, en: Needed}
rule:
  all_of:
    - tax-rating
    - tax-on-time
    - any_of: [incentive-list, patents]
answer_ttl: 24h
consent: {form: separate, max_days: 90, uses: once}
retention_days: 30
explanation:
  met: {zh: 符合, en: Met}
  not_evidenced: {zh: 未见佐证, en: Not evidenced}
pia_ref: PIA-1
"""

CASES = """\
scenario: sample
version: 2
cases:
  - id: met
    covers: met
    title: {zh: 符合, en: Met}
    facts:
      - {record: TAX_RATING, fields: {year: 2025, grade: B}}
      - {record: TAX_ONTIME, fields: {months: 23, as_of: -1d}}
      - {record: PATENT, fields: {count: 2}}
    outcome: met
    criteria: {tax-rating: met, tax-on-time: met}
    disclosed: {tax-rating: {grade: B}, tax-on-time: {months: 12-23}}
  - id: short
    covers: just_short
    title: {zh: 差一点, en: Short}
    facts:
      - {record: TAX_RATING, fields: {year: 2025, grade: B}}
      - {record: TAX_ONTIME, fields: {months: 23, as_of: -1d}}
      - {record: PATENT, fields: {count: 1}}
    outcome: not_evidenced
    criteria: {tax-rating: met, tax-on-time: met}
  - id: stale
    covers: stale
    title: {zh: 过期, en: Stale}
    facts:
      - {record: TAX_RATING, fields: {year: 2025, grade: B}, observed: -401d}
    outcome: not_evidenced
    criteria: {tax-rating: not_evidenced, tax-on-time: not_evidenced}
  - id: no-record
    covers: no_record
    title: {zh: 没有, en: None}
    facts: []
    outcome: not_evidenced
    criteria: {tax-rating: not_evidenced, tax-on-time: not_evidenced}
  - id: withheld
    covers: withheld
    title: {zh: 不予提供, en: Withheld}
    facts:
      - {record: TAX_RATING, fields: {year: 2025, grade: B}, withheld: true}
    outcome: not_evidenced
    criteria: {tax-rating: not_evidenced, tax-on-time: not_evidenced}
  - id: disputed
    covers: disputed
    title: {zh: 异议, en: Disputed}
    facts:
      - {record: TAX_RATING, fields: {year: 2025, grade: B}, disputed: true}
    outcome: not_evidenced
    criteria: {tax-rating: not_evidenced, tax-on-time: not_evidenced}
"""

BEHAVIOURS = """\
behaviours:
  - id: sample
    allowed: false
    text: {zh: 示例, en: Sample}
"""


class Workshop:
    """The folder, and a way to change one thing in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.scenario = folder / "incentives" / "sample.yaml"
        self.cases = folder / "incentives" / "sample.cases.yaml"

    def catalogue(self) -> Catalogue:
        return Catalogue.load(self.folder)

    def change(self, path: Path, old: str, new: str) -> int:
        """Replaces ``old`` once; gives the line, from 1, on which it stood."""
        text = path.read_text("utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), "utf-8")
        return text[: text.index(old)].count("\n") + 1


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    shutil.copytree(scenarios_dir() / "record-types", tmp_path / "record-types")
    (tmp_path / "incentives").mkdir()
    (tmp_path / "behaviours.yaml").write_text(BEHAVIOURS, "utf-8")
    made = Workshop(tmp_path)
    made.scenario.write_text(SCENARIO, "utf-8")
    made.cases.write_text(CASES, "utf-8")
    return made
