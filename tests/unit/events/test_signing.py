"""Standard Webhooks signatures."""

from base64 import b64decode
from datetime import UTC, datetime

from xinyi.events.signing import new_secret, shown, signed_headers

# The example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
MESSAGE_ID = "msg_p5jXN8AQM9LWM0D4loKWxJek"
AT = datetime.fromtimestamp(1614265330, UTC)
BODY = b'{"test": 2432232314}'
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def key_of(secret: str) -> bytes:
    return b64decode(secret.removeprefix("whsec_"))


def test_the_specifications_example():
    assert signed_headers(MESSAGE_ID, AT, BODY, [key_of(SECRET)]) == {
        "webhook-id": MESSAGE_ID,
        "webhook-timestamp": "1614265330",
        "webhook-signature": SIGNATURE,
    }


def test_two_secrets_are_two_signatures():
    other = new_secret()
    both = signed_headers(MESSAGE_ID, AT, BODY, [other, key_of(SECRET)])["webhook-signature"].split(" ")
    assert both[1] == SIGNATURE
    assert both[0] == signed_headers(MESSAGE_ID, AT, BODY, [other])["webhook-signature"]


def test_a_secret_is_shown_as_it_is_written_there():
    secret = new_secret()
    assert len(secret) == 32
    assert key_of(shown(secret)) == secret
