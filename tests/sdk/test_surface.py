"""Both clients are one, secrets stay inside, and one module knows the HTTP library."""

import inspect
import re
import subprocess
import sys
import traceback
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

import xinyi_sdk
from tests.sdk.conftest import MakeClient, result
from tests.sdk.platform import CLIENT, CONSENT, ISSUER, Platform, answering, dropping
from tools import sdk_async
from xinyi_sdk import AsyncXinyi, ConfigurationError, Xinyi, errors

SOURCE = Path(inspect.getfile(xinyi_sdk)).parent
RESOURCES = (
    "scenarios",
    "consents",
    "checks",
    "batches",
    "events",
    "event_subscriptions",
    "records",
    "disputes",
    "partner",
    "ledger",
    "metadata",
)


def surface(kind: type) -> dict[str, tuple[str, str]]:
    """Public names with signature and documentation; what must differ between the two clients is folded."""
    found = {}
    for name, member in inspect.getmembers(kind, inspect.isfunction):
        if not name.startswith("_") or name == "__init__":
            signature = re.sub(r"\b(Async|Sync)(?=Iterator|HttpClient|Driver)", "", str(inspect.signature(member)))
            documentation = (member.__doc__ or "").replace("Async", "")
            found[name] = (signature, documentation)
    return found


def pairs() -> list[tuple[type, type]]:
    options: Any = {"base_url": ISSUER, "client_id": CLIENT, "private_key": ECKey.generate_key().as_dict(private=True)}
    sync, awaiting = Xinyi(**options), AsyncXinyi(**options)
    assert [name for name in vars(sync) if not name.startswith("_")] == list(RESOURCES)
    assert vars(sync).keys() == vars(awaiting).keys()
    return [
        (Xinyi, AsyncXinyi),
        *((type(getattr(sync, name)), type(getattr(awaiting, name))) for name in RESOURCES),
    ]


def test_both_clients_have_the_same_names_signatures_and_documentation() -> None:
    for sync, awaiting in pairs():
        assert surface(sync) == surface(awaiting)
        assert awaiting.__name__ == f"Async{sync.__name__}"


AT_ONCE = {"__init__", "with_options"}
"""What does nothing that could be waited for."""


def test_every_public_method_is_documented_and_the_awaiting_ones_await() -> None:
    for sync, awaiting in pairs():
        for name, (signature, documentation) in surface(sync).items():
            assert documentation or name == "__init__", name
            iterates = "-> collections.abc.Iterator" in signature
            awaits = inspect.iscoroutinefunction(getattr(awaiting, name))
            assert awaits != (iterates or name in AT_ONCE), name
            assert not inspect.iscoroutinefunction(getattr(sync, name)), name


def test_the_awaiting_client_is_written_from_the_blocking_one() -> None:
    wanted = sdk_async.written()
    behind = [path.name for path, text in wanted.items() if not path.exists() or path.read_text("utf-8") != text]
    assert not behind, "run 'make sdk-async'"
    assert {path.name for path in (SOURCE / "_async_resources").glob("*.py")} <= {path.name for path in wanted}


def test_every_public_name_is_there_and_documented() -> None:
    for name in set(xinyi_sdk.__all__) - {"__version__"}:
        assert getattr(xinyi_sdk, name).__doc__, name


def test_every_error_is_public_and_stands_in_the_tree() -> None:
    classes = {
        name for name, member in vars(errors).items() if isinstance(member, type) and issubclass(member, Exception)
    }
    assert classes == set(errors.__all__)
    assert classes <= set(xinyi_sdk.__all__)
    drawn = {}
    for line in str(errors.__doc__).splitlines():
        if found := re.match(r"^    ([ │├└─]*)(\w+)", line):
            drawn[found[2]] = len(found[1]) // 4
    depths = {name: len(getattr(errors, name).__mro__) for name in classes}
    assert drawn == {name: depth - depths["XinyiError"] for name, depth in depths.items()}


def importing(package: str) -> list[str]:
    pattern = re.compile(rf"^\s*(import|from) {package}\b", re.MULTILINE)
    return [path.name for path in SOURCE.rglob("*.py") if pattern.search(path.read_text("utf-8"))]


def test_one_module_imports_each_library_that_costs_time() -> None:
    assert importing("httpx") == ["_http.py", "_server.py"], "and the fake platform, which is loaded by tests alone"
    assert importing("joserfc") == ["_jose.py"]


def test_the_sdk_doesnt_import_the_product() -> None:
    assert importing("xinyi") == []


def test_nothing_of_the_product_is_loaded() -> None:
    key = "private_key=xinyi_sdk._keys.SigningKey.generate().private_pem()"
    made = f"xinyi_sdk.Xinyi(base_url='{ISSUER}', client_id='{CLIENT}', {key})"
    loaded = roots_loaded_by(f"import xinyi_sdk, xinyi_sdk.cli, xinyi_sdk.testing; {made}")
    assert {"httpx", "msgspec", "joserfc"} <= loaded
    assert "xinyi" not in loaded


def roots_loaded_by(code: str) -> set[str]:
    """The top-level packages that a fresh interpreter holds after this."""
    command = f"{code}\nimport sys; print(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", command], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def test_an_import_is_cheap() -> None:
    """Time is measured in benchmarks; this says what it is spent on: nothing that only a client needs."""
    plain = roots_loaded_by("import asyncio.events, argparse, logging, msgspec")
    loaded = roots_loaded_by("from xinyi_sdk import AsyncXinyi, Xinyi, verify_receipt, webhooks")
    assert {name for name in loaded - plain if name not in sys.stdlib_module_names} == {"xinyi_sdk"}


def test_an_import_takes_less_than_150_milliseconds(tell: Callable[[str], None]) -> None:
    """The processor time of the fastest of five, so that a busy machine doesn't count."""
    code = "import time; b = time.process_time(); from xinyi_sdk import Xinyi; print(time.process_time() - b)"
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(5)]
    fastest = min(float(run.stdout) for run in runs)
    tell(f"import of the SDK: {fastest * 1000:.0f} ms")
    assert fastest < 0.15


def test_there_are_three_dependencies() -> None:
    requirements = [each for each in metadata.requires("xinyi-sdk") or [] if "extra ==" not in each]
    assert sorted(re.split(r"[^a-z]", each)[0] for each in requirements) == ["httpx", "joserfc", "msgspec"]


# Construction


def keys() -> list[tuple[str, Any]]:
    ec, ed = ECKey.generate_key("P-256"), OKPKey.generate_key("Ed25519")
    rsa = RSAKey.generate_key(2048)
    return [
        ("ES256", ec.as_pem(private=True)),
        ("ES256", ec.as_pem(private=True).decode()),
        ("ES256", ec.as_pem(private=True).decode().replace("\n", "\\n")),
        ("ES256", ec.as_dict(private=True)),
        ("ES256", lambda: ec.as_pem(private=True)),
        ("Ed25519", ed.as_pem(private=True)),
        ("PS256", rsa.as_pem(private=True)),
    ]


@pytest.mark.parametrize(("algorithm", "key"), keys())
def test_a_key_may_be_pem_a_jwk_or_a_callable(algorithm: str, key: Any) -> None:
    client = Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=key)
    assert xinyi_sdk._keys.SigningKey.load(client._engine.config.private_key).algorithm == algorithm


def test_a_key_may_be_a_path_and_everything_may_come_from_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pem = ECKey.generate_key("P-256").as_pem(private=True)
    (tmp_path / "key.pem").write_bytes(pem)
    Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=tmp_path / "key.pem")
    Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=str(tmp_path / "key.pem"))
    monkeypatch.setenv("XINYI_SDK_BASE_URL", ISSUER + "/")
    monkeypatch.setenv("XINYI_SDK_CLIENT_ID", CLIENT)
    monkeypatch.setenv("XINYI_SDK_PRIVATE_KEY_FILE", str(tmp_path / "key.pem"))
    assert repr(Xinyi()) == f"Xinyi(base_url='{ISSUER}', client_id='{CLIENT}')"
    monkeypatch.delenv("XINYI_SDK_PRIVATE_KEY_FILE")
    monkeypatch.setenv("XINYI_SDK_PRIVATE_KEY", pem.decode())
    assert repr(AsyncXinyi()) == f"AsyncXinyi(base_url='{ISSUER}', client_id='{CLIENT}')"


@pytest.mark.parametrize("missing", ["base_url", "client_id", "private_key"])
def test_what_is_missing_is_named_with_its_variable(missing: str) -> None:
    options: Any = {"base_url": ISSUER, "client_id": CLIENT, "private_key": ECKey.generate_key().as_dict(private=True)}
    del options[missing]
    with pytest.raises(ConfigurationError, match=f"{missing}.*XINYI_SDK_{missing.upper()}"):
        Xinyi(**options)


@pytest.mark.parametrize(
    "option",
    [
        {"base_url": "http://xinyi.example"},
        {"base_url": "xinyi.example"},
        {"base_url": "https://user@xinyi.example"},
        {"base_url": "https://xinyi.example?x=1"},
        {"max_retries": -1},
        {"scopes": "checks"},
        {"private_key": "/no/such/file"},
        {"private_key": "{not json"},
        {"private_key": "-----BEGIN NOTHING-----"},
        {"private_key": 7},
        {"private_key": lambda: None},
        {"private_key": ECKey.generate_key("P-256").as_pem(private=False)},
        {"private_key": ECKey.generate_key("P-384").as_pem(private=True)},
        {"private_key": OctKey.generate_key(256).as_dict(private=True)},
    ],
)
def test_what_is_unusable_is_refused_when_the_client_is_made(option: dict[str, Any]) -> None:
    good: Any = {"base_url": ISSUER, "client_id": CLIENT, "private_key": ECKey.generate_key().as_dict(private=True)}
    with pytest.raises(ConfigurationError):
        Xinyi(**{**good, **option})


def test_this_machine_needs_no_https() -> None:
    key = ECKey.generate_key().as_dict(private=True)
    for host in ("127.0.0.1:8080", "localhost", "[::1]:8080"):
        Xinyi(base_url=f"http://{host}", client_id=CLIENT, private_key=key)


async def test_a_client_closes_what_it_opened_and_leaves_what_it_was_given(private_jwk: Any) -> None:
    options: Any = {"base_url": ISSUER, "client_id": CLIENT, "private_key": private_jwk}
    with Xinyi(**options) as own:
        pass
    assert own._driver.http.is_closed
    async with AsyncXinyi(**options) as own_async:
        pass
    assert own_async._driver.http.is_closed
    with httpx.Client() as http:
        with Xinyi(**options, http_client=http):
            pass
        assert not http.is_closed
    async with httpx.AsyncClient() as http_async:
        async with AsyncXinyi(**options, http_client=http_async):
            pass
        assert not http_async.is_closed


# Secrets


async def test_no_secret_shows_in_reprs_logs_or_tracebacks(
    make_client: MakeClient, platform: Platform, private_jwk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    client = make_client()
    request = await result(client.consents.start(scenario="bike-deposit", redirect_uri="https://bikes.example/"))
    platform.fail("/v1/checks", answering(403, "consent_withdrawn"), dropping, dropping, dropping)
    shown = [repr(client), repr(client._engine.config), repr(client._engine.key), repr(request), str(request)]
    for _ in range(2):
        try:
            await result(client.checks.create(scenario="bike-deposit", consent_id=CONSENT, reference="R-1"))
        except xinyi_sdk.XinyiError as error:
            below = error.__traceback__ and error.__traceback__.tb_next  # this test's own frame holds the key
            shown += traceback.TracebackException(type(error), error, below, capture_locals=True).format()
            shown += [repr(error), str(error)]
    text = "\n".join(shown) + caplog.text
    assert "consent_withdrawn" in text
    secrets = [private_jwk["d"], request.code_verifier, request.proof_key]
    secrets += [ECKey.import_key(private_jwk).as_pem(private=True).decode().splitlines()[1]]
    secrets += [client._engine.key._key.as_dict(private=True)["d"], *platform.tokens]
    assert not [secret for secret in secrets if secret in text]


@pytest.mark.parametrize(
    "key", ["-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----", '{"kty":"EC","d":"canary"']
)
def test_an_unusable_key_isnt_shown_either(key: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        Xinyi(base_url=ISSUER, client_id=CLIENT, private_key=key)
    error: BaseException | None = caught.value
    while error is not None:
        assert "canary" not in f"{error}{error!r}{error.args}"
        error = error.__cause__ or error.__context__


def test_private_keys_arent_pickled() -> None:
    import pickle

    with pytest.raises(TypeError, match="isn't pickled"):
        pickle.dumps(xinyi_sdk._keys.SigningKey.generate())
