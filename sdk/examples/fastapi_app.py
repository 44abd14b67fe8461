"""A bike platform asks for a customer's consent and back, with FastAPI and the awaiting client.

    pip install xinyi-sdk fastapi uvicorn
    export XINYI_SDK_BASE_URL=… XINYI_SDK_CLIENT_ID=… XINYI_SDK_PRIVATE_KEY_FILE=…   # `make serve` prints them
    uvicorn fastapi_app:app --port 8080

The client's registered redirect_uri must be http://127.0.0.1:8080/callback.
"""

import logging
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response

import xinyi_sdk
from xinyi_sdk import AsyncXinyi, ConsentRequest

SCENARIO = "bike-deposit"
PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>示例单车 Sample Bikes</title>
<h1>{said}</h1>
<form method="post" action="/ask"><button>申请免押金 Ride without a deposit</button></form>"""

waiting: dict[str, str] = {}  # by state; with several workers: a shared store that forgets after an hour
decided: dict[str, str] = {}  # likewise: to load the page again decides nothing anew


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with AsyncXinyi() as app.state.xinyi:  # one for the whole program, in its event loop
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/")
async def home(request: Request) -> HTMLResponse:
    return page(decided.get(request.cookies.get("asked", ""), "骑行押金 199 元 The deposit is 199 yuan"))


@app.post("/ask")
async def ask(request: Request) -> RedirectResponse:
    """Sends the customer to the consent page, and remembers what was asked."""
    xinyi: AsyncXinyi = request.app.state.xinyi
    asked = await xinyi.consents.start(scenario=SCENARIO, redirect_uri=str(request.url_for("callback")))
    waiting[asked.state] = asked.to_json()
    answer = RedirectResponse(asked.url, status_code=303)
    secure = request.url.scheme == "https"  # only the browser that was sent away may come back with this state
    answer.set_cookie("asked", asked.state, max_age=3600, httponly=True, samesite="lax", secure=secure)
    return answer


@app.get("/callback")
async def callback(request: Request) -> Response:
    """Takes the customer back, checks, and decides. Without a yes, the deposit is what it was."""
    xinyi: AsyncXinyi = request.app.state.xinyi
    state = request.cookies.get("asked", "")
    asked = waiting.pop(state, None)
    if asked is None:
        return page("请重新开始 Please start again", 400)
    try:
        consent = await xinyi.consents.finish(str(request.url), ConsentRequest.from_json(asked))
        answer = await xinyi.checks.create(scenario=SCENARIO, consent_id=consent.id, reference=f"RIDE-{uuid.uuid4()}")
        decided[state] = "免押金 No deposit" if answer.met else "请交押金 199 元 The deposit is 199 yuan"
    except xinyi_sdk.ConsentRefused:
        decided[state] = "未授权，请交押金 199 元 No consent: the deposit is 199 yuan"
    except xinyi_sdk.CallbackInvalid:
        return page("请重新开始 Please start again", 400)
    except xinyi_sdk.XinyiError as error:  # an outage is never an outcome: the fallback stays open
        logging.getLogger(__name__).warning("xinyi: %s", error)
        decided[state] = "请交押金 199 元 The deposit is 199 yuan"
    return RedirectResponse(request.url_for("home"), status_code=303)


def page(said: str, status: int = 200) -> HTMLResponse:
    return HTMLResponse(PAGE.format(said=said), status)
