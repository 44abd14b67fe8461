"""Form parameters, read strictly (RFC 6749 §3.1, §3.2 and appendix B): of programs and of pages."""

from typing import Any, Final
from urllib.parse import parse_qsl

from litestar import Request

from ..kernel.errors import Code, XinyiError

FORM_TYPE: Final = "application/x-www-form-urlencoded"
MAX_BODY: Final = 64 * 1024
MAX_PARAMETERS: Final = 50


async def read_form(request: Request[Any, Any, Any]) -> dict[str, str]:
    """The parameters of a form body. Raises ``XinyiError``: UNSUPPORTED_MEDIA_TYPE or MALFORMED."""
    if request.content_type[0] != FORM_TYPE:
        raise XinyiError(Code.UNSUPPORTED_MEDIA_TYPE, f"send {FORM_TYPE}")
    return parse_parameters(await request.body())


def parse_parameters(data: bytes) -> dict[str, str]:
    """Each parameter once; one without a value counts as omitted. Raises ``XinyiError(MALFORMED)``."""
    if len(data) > MAX_BODY:
        raise XinyiError(Code.MALFORMED, f"the parameters are longer than {MAX_BODY} bytes")
    try:
        pairs = parse_qsl(
            data.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(data),
            errors="strict",
            max_num_fields=MAX_PARAMETERS,
        )
    except ValueError:
        raise XinyiError(Code.MALFORMED, "the parameters can't be parsed") from None
    names = [name for name, _ in pairs]
    if len(set(names)) != len(names):
        raise XinyiError(Code.MALFORMED, "a parameter is there twice")
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise XinyiError(Code.MALFORMED, "a parameter has a NUL")
    return {name: value for name, value in pairs if value}
