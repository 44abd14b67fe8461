"""The consent page: what a subject reads before they agree or refuse."""

from collections.abc import Mapping, Sequence
from typing import Any

from litestar import Request, Response

from ..kernel.text import Text
from ..web.pages import page
from .notice import Notice


def consent_page(
    request: Request[Any, Any, Any],
    notice: Notice,
    *,
    action: str,
    csrf: str,
    signed_in_as: Text,
    fields: Mapping[str, str] | None = None,
    form_targets: Sequence[str] = (),
) -> Response[str]:
    """The page that tells ``notice``, in its language, and asks.

    Its form posts ``decision`` (``agree`` or ``refuse``), ``csrf``, ``notice`` (the digest of what was shown),
    ``language`` and ``fields`` to ``action``. ``form_targets``: see :func:`web.pages.page`.
    """
    return page(
        request,
        "consents/consent.html",
        language=notice.language,
        form_targets=form_targets,
        notice=notice,
        action=action,
        csrf=csrf,
        signed_in_as=signed_in_as,
        fields=dict(fields or {}),
    )
