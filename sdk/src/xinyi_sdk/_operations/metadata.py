"""The published lists."""

from .._engine import Engine
from .._flow import Flow
from .._problems import read
from ..models.metadata import Behaviour, ErrorCode, OutcomeWording, RecordType
from .common import Data


def record_types(engine: Engine) -> Flow[tuple[RecordType, ...]]:
    return read((yield from engine.call("GET", "/v1/record-types", public=True)), Data[tuple[RecordType, ...]]).data


def behaviours(engine: Engine) -> Flow[tuple[Behaviour, ...]]:
    return read((yield from engine.call("GET", "/v1/behaviours", public=True)), Data[tuple[Behaviour, ...]]).data


def error_codes(engine: Engine) -> Flow[tuple[ErrorCode, ...]]:
    response = yield from engine.call("GET", "/v1/metadata/error-codes", public=True)
    return read(response, Data[tuple[ErrorCode, ...]]).data


def outcomes(engine: Engine) -> Flow[tuple[OutcomeWording, ...]]:
    response = yield from engine.call("GET", "/v1/metadata/outcomes", public=True)
    return read(response, Data[tuple[OutcomeWording, ...]]).data
