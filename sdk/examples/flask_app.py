"""A bike platform asks for a customer's consent and back, with Flask and the blocking client.

    pip install xinyi-sdk flask
    export XINYI_SDK_BASE_URL=… XINYI_SDK_CLIENT_ID=… XINYI_SDK_PRIVATE_KEY_FILE=…   # `make serve` prints them
    flask --app flask_app run --port 8080

The client's registered redirect_uri must be http://127.0.0.1:8080/callback.
"""

import uuid

from flask import Flask, redirect, render_template_string, request, url_for
from werkzeug.wrappers import Response

import xinyi_sdk
from xinyi_sdk import ConsentRequest, Xinyi

SCENARIO = "bike-deposit"
PAGE = """<!doctype html><html lang="zh-CN"><meta charset="utf-8"><title>示例单车 Sample Bikes</title>
<h1>{{ said }}</h1>
<form method="post" action="{{ url_for('ask') }}"><button>申请免押金 Ride without a deposit</button></form>"""

app = Flask(__name__)
xinyi = Xinyi()  # one for the whole program: threads and forked workers may share it
waiting: dict[str, str] = {}  # by state; with several workers: a shared store that forgets after an hour
decided: dict[str, str] = {}  # likewise: to load the page again decides nothing anew


@app.get("/")
def home() -> str:
    return page(decided.get(request.cookies.get("asked", ""), "骑行押金 199 元 The deposit is 199 yuan"))


@app.post("/ask")
def ask() -> Response:
    """Sends the customer to the consent page, and remembers what was asked."""
    asked = xinyi.consents.start(scenario=SCENARIO, redirect_uri=url_for("callback", _external=True))
    waiting[asked.state] = asked.to_json()
    answer = redirect(asked.url)
    # only the browser that was sent away may come back with this state
    answer.set_cookie("asked", asked.state, max_age=3600, httponly=True, samesite="Lax", secure=request.is_secure)
    return answer


@app.get("/callback")
def callback() -> Response | tuple[str, int]:
    """Takes the customer back, checks, and decides. Without a yes, the deposit is what it was."""
    state = request.cookies.get("asked", "")
    asked = waiting.pop(state, None)
    if asked is None:
        return page("请重新开始 Please start again"), 400
    try:
        consent = xinyi.consents.finish(request.url, ConsentRequest.from_json(asked))
        answer = xinyi.checks.create(scenario=SCENARIO, consent_id=consent.id, reference=f"RIDE-{uuid.uuid4()}")
        decided[state] = "免押金 No deposit" if answer.met else "请交押金 199 元 The deposit is 199 yuan"
    except xinyi_sdk.ConsentRefused:
        decided[state] = "未授权，请交押金 199 元 No consent: the deposit is 199 yuan"
    except xinyi_sdk.CallbackInvalid:
        return page("请重新开始 Please start again"), 400
    except xinyi_sdk.XinyiError as error:  # an outage is never an outcome: the fallback stays open
        app.logger.warning("xinyi: %s", error)
        decided[state] = "请交押金 199 元 The deposit is 199 yuan"
    return redirect(url_for("home"))


def page(said: str) -> str:
    return render_template_string(PAGE, said=said)
