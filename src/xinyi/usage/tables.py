"""Counts by day, up to which moment they go, and prices."""

from sqlalchemy import BigInteger, CheckConstraint, Column, Date, Integer, SmallInteger, String, Table

from ..storage.types import UtcDateTime, metadata

usage_days = Table(
    "usage_days",
    metadata,
    Column("partner_id", String(40), primary_key=True),
    Column("day", Date, primary_key=True),
    Column("scenario_id", String(64), primary_key=True),
    Column("answered", BigInteger, nullable=False),
    Column("refused", BigInteger, nullable=False),
)

usage_mark = Table(
    "usage_mark",
    metadata,
    Column("slot", SmallInteger, primary_key=True, autoincrement=False),
    Column("until", UtcDateTime, nullable=False),
    CheckConstraint("slot = 1", name="single"),
)
"""One row: the checks from before this moment are in ``usage_days``, and no other ones."""

scenario_prices = Table(
    "scenario_prices",
    metadata,
    Column("scenario_id", String(64), primary_key=True),
    Column("partner_id", String(40), primary_key=True),  # or '*'
    Column("since", Date, primary_key=True),
    # ten-thousandths of a yuan
    Column("units", Integer, nullable=False),
)
