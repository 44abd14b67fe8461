"""The answers of the authorization endpoint: redirects to a client's own, registered address."""

from urllib.parse import urlencode, urlsplit

from litestar.response import Redirect

from .errors import ErrorCode
from .par import PushedRequest


def answer_url(issuer: str, pushed: PushedRequest, **parameters: str) -> str:
    """The redirect URI with the answer, the state, and who answers (RFC 9207)."""
    state = {} if pushed.state is None else {"state": pushed.state}
    joint = "&" if urlsplit(pushed.redirect_uri).query else "?"
    return pushed.redirect_uri + joint + urlencode({**parameters, **state, "iss": issuer})


def redirect(url: str) -> Redirect:
    """303, so that what the browser posted here is not posted there (RFC 9700 §4.12)."""
    return Redirect(url, status_code=303)


def denied(issuer: str, pushed: PushedRequest) -> Redirect:
    """``access_denied``, without a reason: who refused, and why, is nobody's business."""
    return redirect(answer_url(issuer, pushed, error=ErrorCode.ACCESS_DENIED.value))


def origin(url: str) -> str:
    """The origin of a registered redirect URI, as a content security policy names it."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def form_fields(client_id: str, request_uri: str) -> dict[str, str]:
    """What the forms of a flow carry along."""
    return {"client_id": client_id, "request_uri": request_uri}
