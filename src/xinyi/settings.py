"""Settings: decoded from ``xinyi.toml`` and ``XINYI_*`` variables into one frozen Struct; there are no globals."""

import os
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta, Struct

DEFAULT_ISSUER: Final = "http://127.0.0.1:8000"
_SANDBOX_OPERATOR: Final = {
    "operator_name_zh": "信用中心（沙箱）",
    "operator_name_en": "Credit Centre (sandbox)",
    "operator_contact": "rights@credit-centre.example",
}


class Environment(StrEnum):
    SANDBOX = "sandbox"
    """Synthetic subjects, built-in sign-in with personas, keys made on the spot."""
    PRODUCTION = "production"


class MailSecurity(StrEnum):
    """How the connection to the mail server is kept private."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"
    """For a server on the same host alone."""


class SignIn(Struct, frozen=True):
    """The OpenID Connect provider where subjects sign in, and what its claims mean."""

    issuer: str
    client_id: str
    key_file: Path | None
    secret_file: Path | None
    scopes: str
    identifier_claim: str
    company_claim: str | None
    name_claim: str
    company_name_claim: str


class SettingsError(Exception):
    """A setting is unknown or wrong. ``str()`` names it."""


class Settings(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How one installation runs: each field is a key of ``xinyi.toml``, and a variable such as ``XINYI_DATA_DIR``."""

    environment: Environment = Environment.SANDBOX
    issuer: str = DEFAULT_ISSUER
    """The origin that callers see (RFC 8414 issuer): tokens, assertions and proofs are compared with this alone."""
    host: str = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535)] = 8000
    data_dir: Path = Path("var")
    """Holds the SQLite file and the key files, unless they are placed elsewhere."""
    database_url: str | None = None
    """``postgresql://…`` or ``sqlite:///path``; the default is a SQLite file in ``data_dir``."""
    database_pool: Annotated[int, Meta(ge=2, le=1000)] = 10
    """The most PostgreSQL connections that one worker holds."""
    cache_url: str | None = None
    """``redis://…``, ``rediss://…`` or ``unix://…``, of Redis or Valkey; the default is the worker's own memory."""
    cache_prefix: str = "xinyi:"
    """What every key in Redis starts with: installations that share one differ in this."""
    workers: Annotated[int, Meta(ge=1, le=1024)] = 1
    """How many processes answer. More than one need ``database_url`` and ``cache_url``."""
    scenarios_dir: Path | None = None
    """Holds the record types and scenarios; the default is the set that comes with the product."""
    operator_name_zh: str = _SANDBOX_OPERATOR["operator_name_zh"]
    operator_name_en: str = _SANDBOX_OPERATOR["operator_name_en"]
    operator_contact: str = _SANDBOX_OPERATOR["operator_contact"]
    """How people reach whoever runs this installation: shown on every consent page (PIPL 17)."""
    body_limit: Annotated[int, Meta(ge=1024)] = 1024 * 1024
    """The most bytes of a request body, except for uploads."""
    upload_limit: Annotated[int, Meta(ge=1024)] = 64 * 1024 * 1024
    """The most bytes of one upload of records, or of a batch of checks."""
    connections: Annotated[int, Meta(ge=10, le=1_000_000)] = 2000
    """The most connections that one worker holds; whoever comes then is sent away at once."""
    rate_checks: Annotated[int, Meta(ge=1)] = 300_000
    """The most checks that one client may ask for in a minute, refused ones included."""
    rate_calls: Annotated[int, Meta(ge=1)] = 60_000
    """The most other calls of the API that one client may make in a minute."""
    rate_uploads: Annotated[int, Meta(ge=1)] = 120
    """The most uploads, of records or of batches of checks, that one client may begin in a minute."""
    rate_pushes: Annotated[int, Meta(ge=1)] = 1200
    """The most authorization requests that one client may push in a minute; each is kept for half an hour."""
    rate_tokens: Annotated[int, Meta(ge=1)] = 1200
    """The most access tokens that one client may ask for in a minute."""
    sign_in_issuer: str | None = None
    """The OpenID Connect provider where subjects sign in. The sandbox has one of its own, unless this names another."""
    sign_in_client_id: str | None = None
    sign_in_key_file: Path | None = None
    """The private key (PEM) that authenticates this server there (``private_key_jwt``), its owner's alone (0600)."""
    sign_in_secret_file: Path | None = None
    """A client secret instead, its owner's alone (0600)."""
    sign_in_scopes: str = "openid profile email"
    sign_in_identifier_claim: str | None = None
    """The claim that carries the person's resident id (GB 11643)."""
    sign_in_company_claim: str | None = None
    """The claim that carries the USCC (GB 32100) of the company that the person acts for, if that is told."""
    sign_in_name_claim: str = "name"
    sign_in_company_name_claim: str = "company_name"
    representative_minutes: Annotated[int, Meta(ge=1, le=720)] = 15
    """So long after signing in a representative may decide for their company; then the sign-in is asked again."""
    outbound_loopback: str = ""
    """Origins on the loopback, such as ``http://127.0.0.1:9000``, with spaces between them, that partners' addresses
    (``jwks_uri``, webhooks) may name. For the sandbox alone: elsewhere they name public addresses by https."""
    ask_cool_down_hours: Annotated[int, Meta(ge=1, le=8760)] = 24
    """So long a partner may not ask a subject again for what they refused it. A day: what was refused at a counter may
    be wanted at tomorrow's; and who changes their mind sooner comes by redirect, which is never held back."""
    reminder_cool_down_hours: Annotated[int, Meta(ge=1, le=8760)] = 168
    """So long a partner may not remind a subject again of the same: a week, as long as an extension may wait."""
    client_key_delay_hours: Annotated[int, Meta(ge=0, le=720)] = 24
    """So long a key that a client adds by itself waits until it works; 0: not at all."""
    sweep_seconds: Annotated[int, Meta(ge=0, le=3600)] = 30
    """How often a worker writes down which consents time has ended, and sends what mail waits; 0: it doesn't."""
    mail_host: str | None = None
    """The SMTP server that reminders are handed in at; without one no mail is sent."""
    mail_port: Annotated[int, Meta(ge=1, le=65535)] = 587
    mail_security: MailSecurity = MailSecurity.STARTTLS
    """``starttls``, ``tls``, or ``none`` for a server on the same host."""
    mail_from: str = ""
    """The address that mail comes from."""
    mail_user: str | None = None
    mail_password_file: Path | None = None
    """Holds the password of ``mail_user``, and nothing else."""
    rate_requests: Annotated[int, Meta(ge=1)] = 1200
    """The most pages and calls that one signed-in subject may ask for in a minute."""
    dpop_nonces: bool = False
    """Whether a proof must carry a nonce of this server (RFC 9449 §8), so that none can be made long ahead."""
    event_days: Annotated[int, Meta(ge=1, le=3660)] = 30
    """How many days partners can ask for an event, and have it sent again."""
    event_timeout: Annotated[float, Meta(ge=0.1, le=60)] = 15
    """Seconds that a partner's receiver of events has for its whole answer."""
    event_retries: str = "5 300 1800 7200 18000 36000 50400 72000 86400"
    """Seconds between the tries to send an event, with spaces between them; after the last one it is given up."""
    log_level: str = "INFO"
    metrics_port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    """Where Prometheus reads ``/metrics`` of the first worker; the others take the ports that follow. None by default:
    partners' address never shows metrics."""
    metrics_host: str = "127.0.0.1"
    """The address of that listener. Whoever reaches it reads it."""
    traces: bool = False
    """Whether spans go to an OpenTelemetry collector; OpenTelemetry's own ``OTEL_*`` variables say to which."""

    def __post_init__(self) -> None:
        parts = urlsplit(self.issuer)
        if parts.scheme not in {"http", "https"} or not parts.netloc or parts.path or parts.query or parts.fragment:
            raise SettingsError("issuer must be an origin, such as https://credit.example, without a path")
        if self.environment is Environment.PRODUCTION:
            if parts.scheme != "https":
                raise SettingsError("issuer must be https in production")
            self._require_operator()
            if self.sign_in_issuer is None:
                raise SettingsError("sign_in_issuer must be set in production: the sandbox's personas are nowhere else")
        if self.database_url and not self.database_url.startswith(("sqlite", "postgresql", "postgres:")):
            raise SettingsError("database_url must begin with postgresql:// or sqlite:///")
        if self.cache_url and not self.cache_url.startswith(("redis://", "rediss://", "unix://")):
            raise SettingsError("cache_url must begin with redis://, rediss:// or unix://")
        if self.mail_host is not None and not self.mail_from:
            raise SettingsError("mail_from must be set along with mail_host")
        if self.metrics_port is not None and self.metrics_port + self.workers > 65536:
            raise SettingsError("metrics_port must leave a port to each worker")
        if self.workers > 1:
            self._require_shared_state()
        self._check_outbound_loopback()
        self._check_sign_in()
        if not self.event_schedule:
            raise SettingsError("event_retries names at least one pause, in seconds")

    def _require_operator(self) -> None:
        """People must learn who runs the installation, and how to reach them (PIPL 17)."""
        for name, made_up in _SANDBOX_OPERATOR.items():
            if getattr(self, name).strip() in {"", made_up}:
                raise SettingsError(f"{name} must be set in production: it is shown on every consent page")

    def _require_shared_state(self) -> None:
        if self.cache_url is None:
            raise SettingsError(
                f"{self.workers} workers need cache_url (Redis or Valkey): each would remember only the proofs that it "
                "saw itself, and what one has taken the next would take again"
            )
        if self.database_url is None or self.database_url.startswith("sqlite"):
            raise SettingsError(
                f"{self.workers} workers need database_url (PostgreSQL): SQLite has one writer, "
                "so they would only wait for each other"
            )

    def _check_sign_in(self) -> None:
        if self.sign_in_issuer is None:
            return
        for name in ("sign_in_client_id", "sign_in_identifier_claim"):
            if not getattr(self, name):
                raise SettingsError(f"{name} must be set with sign_in_issuer")
        if (self.sign_in_key_file is None) == (self.sign_in_secret_file is None):
            raise SettingsError("sign_in_issuer needs either sign_in_key_file or sign_in_secret_file")
        parts = urlsplit(self.sign_in_issuer)
        if not parts.netloc or parts.scheme not in ({"http", "https"} if self.is_sandbox else {"https"}):
            raise SettingsError("sign_in_issuer must be an address, https outside the sandbox")
        if "openid" not in self.sign_in_scopes.split():
            raise SettingsError("sign_in_scopes must name openid")

    @property
    def sign_in(self) -> SignIn | None:
        """The provider where subjects sign in; ``None``: the sandbox's own."""
        if self.sign_in_issuer is None:
            return None
        return SignIn(
            issuer=self.sign_in_issuer,
            client_id=self.sign_in_client_id or "",
            key_file=self.sign_in_key_file,
            secret_file=self.sign_in_secret_file,
            scopes=self.sign_in_scopes,
            identifier_claim=self.sign_in_identifier_claim or "",
            company_claim=self.sign_in_company_claim,
            name_claim=self.sign_in_name_claim,
            company_name_claim=self.sign_in_company_name_claim,
        )

    def _check_outbound_loopback(self) -> None:
        if self.outbound_loopback and not self.is_sandbox:
            raise SettingsError("outbound_loopback is for the sandbox alone")
        for origin in self.outbound_loopback_origins:
            parts = urlsplit(origin)
            if parts.scheme not in {"http", "https"} or origin != f"{parts.scheme}://{parts.netloc}":
                raise SettingsError("outbound_loopback names origins, such as http://127.0.0.1:9000, without a path")

    @property
    def outbound_loopback_origins(self) -> tuple[str, ...]:
        return tuple(self.outbound_loopback.split())

    @property
    def event_schedule(self) -> tuple[float, ...]:
        """The pauses between the tries to send an event, in seconds."""
        try:
            pauses = tuple(map(float, self.event_retries.split()))
        except ValueError:
            pauses = ()
        return pauses if all(0 < pause <= 864_000 for pause in pauses) else ()

    @property
    def is_sandbox(self) -> bool:
        return self.environment is Environment.SANDBOX

    @property
    def keys_dir(self) -> Path:
        return self.data_dir / "keys"

    @property
    def effective_database_url(self) -> str:
        return self.database_url or f"sqlite:///{self.data_dir / 'xinyi.sqlite3'}"


def load_settings(file: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings from ``file`` (default ``xinyi.toml``, if it is there), overridden by ``XINYI_*`` variables.

    Paths in the file are relative to its folder, wherever a command is run; those in variables to the working folder.
    Raises :class:`SettingsError` naming the setting that is unknown or wrong.
    """
    environ = os.environ if environ is None else environ
    values: dict[str, Any] = {}
    path = file or Path("xinyi.toml")
    if file is not None or path.exists():
        try:
            values = _placed(path.parent, tomllib.loads(path.read_text("utf-8")))
        except (OSError, tomllib.TOMLDecodeError) as error:
            raise SettingsError(f"{path}: {error}") from error
    said_at = {setting: f"{path}: {setting}" for setting in values}
    for name, value in environ.items():
        if name.startswith("XINYI_") and not name.startswith("XINYI_SDK_"):
            setting = name.removeprefix("XINYI_").lower()
            values[setting], said_at[setting] = value, name
    for setting in values:
        if setting not in Settings.__struct_fields__:
            raise SettingsError(f"{said_at[setting]}: there is no such setting")
    try:
        return msgspec.convert(values, Settings, strict=False, dec_hook=_path)
    except msgspec.ValidationError as error:
        raise SettingsError(str(error)) from error


def _placed(folder: Path, values: dict[str, Any]) -> dict[str, Any]:
    """The values of a file in ``folder``, with each path under it unless it is absolute."""
    hints = get_type_hints(Settings)
    return {
        name: str(folder / value) if isinstance(value, str) and _is_path(hints.get(name)) else value
        for name, value in values.items()
    }


def _is_path(hint: Any) -> bool:
    return Path in {hint, *get_args(hint)}


def _path(type_: type, value: Any) -> Any:
    if type_ is not Path or not isinstance(value, str):
        raise NotImplementedError
    return Path(value)
