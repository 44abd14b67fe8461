"""``/v1/metadata/error-codes``: what every problem's ``type`` points at."""

from typing import Any

from litestar import Controller, Request, Response, get

from ..kernel.errors import DEFINITIONS, Definition
from .caching import public
from .envelope import Envelope


class MetadataController(Controller):
    """The closed lists that belong to no room."""

    path = "/v1/metadata"
    tags = ("Metadata",)

    @get("/error-codes", operation_id="listErrorCodes", summary="Every error code there is", sync_to_thread=False)
    def error_codes(self, request: Request[Any, Any, Any]) -> Response[Envelope[list[Definition]]]:
        """Lists the codes of problem documents with their status and title, in the order of their status.

        The list is closed within a version of the API: a code is added with a new version and never changes its
        meaning.
        """
        return public(request, Envelope(list(DEFINITIONS.values())))
