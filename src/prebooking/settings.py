"""The environment, read once into one frozen object. A missing or wrong value stops the start and is named."""

import base64
import binascii
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Annotated, Literal, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    AliasChoices,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from prebooking.domain.notice_texts import Language
from prebooking.domain.opening_rules import is_zone
from prebooking.domain.prebooking import Box, box_label

_SHORTEST_KEY = 20
_SESSION_KEY_BYTES = 32
_SHORTEST_WEBHOOK_KEY = 24
_PLAIN = "plain"  # in the place of the first session key: nothing is encrypted yet
_SHORTEST_JWT_SECRET = 32  # for HS256, RFC 7518
# After the opening an execution needs this much: to shoot, to hear, to write down, to answer.
_AFTER_LEAD_S = 6
_MOST = 2**31 - 1  # the database's integer
_LONGEST_BEFORE = 90 * 24 * 60  # minutes; no class is announced so long before


class SettingsError(Exception):
    """The text names each variable that is missing or wrong, and what would be right."""


def _url(value: str) -> str:
    if urlsplit(value).scheme not in ("http", "https") or not urlsplit(value.replace("{box}", "box")).netloc:
        raise ValueError("must be an http(s) URL")
    return value.rstrip("/")


def _gym_url(value: str) -> str:
    url = _url(value)
    try:
        address = ip_address(urlsplit(url.replace("{box}", "box")).hostname or "")
    except ValueError:  # a name: what it leads to is looked at before each connection
        return url
    if not (address.is_global or address.is_loopback):
        raise ValueError("is a private address, which is never connected to: give a public one, or a loopback")
    return url


def _at_least(characters: int) -> AfterValidator:
    def long_enough(value: SecretStr) -> SecretStr:
        if len(value.get_secret_value()) < characters:
            raise ValueError(f"is too short: it has {characters} characters or more, copy all of it")
        return value

    return AfterValidator(long_enough)


def _list(value: str | list[str]) -> list[str]:
    """Comma-separated, as an environment has lists."""
    parts = value.split(",") if isinstance(value, str) else value
    return [part.strip() for part in parts if part.strip()]


def _origins(value: str | list[str]) -> list[str]:
    origins = [origin.rstrip("/") for origin in _list(value)]
    for origin in origins:
        parts = urlsplit(origin)
        if origin != "*" and (parts.scheme not in ("http", "https") or origin != f"{parts.scheme}://{parts.netloc}"):
            raise ValueError("write each as browsers do, such as https://app.example.com, with commas between")
    return origins


def _is_member(value: str) -> str:
    email, _, password = value.partition(":")
    if "@" not in email or not password:
        raise ValueError("write each as email:password, with commas between")
    return value


def _are_session_keys(values: list[SecretStr]) -> list[SecretStr]:
    if values and values[0].get_secret_value() == _PLAIN and len(values) == 1:
        raise ValueError("name a key after plain, or leave it empty")
    for n, value in enumerate(values):
        if len(_key_bytes(value)) != _SESSION_KEY_BYTES and (n, value.get_secret_value()) != (0, _PLAIN):
            raise ValueError("each key must be 32 bytes in base64: make one with `openssl rand -base64 32`")
    return values


def _key_bytes(value: SecretStr) -> bytes:
    try:
        return base64.b64decode(value.get_secret_value().replace("-", "+").replace("_", "/"), validate=True)
    except (binascii.Error, ValueError):  # not base64; not ASCII
        return b""


def _webhook_key(value: SecretStr) -> bytes:
    prefix, _, key = value.get_secret_value().partition("whsec_")
    return b"" if prefix else _key_bytes(SecretStr(key))


_Kind = TypeVar("_Kind", bound=BaseSettings)
_Member = Annotated[str, AfterValidator(_is_member)]
_Url = Annotated[str, AfterValidator(_url)]
_GymUrl = Annotated[str, AfterValidator(_gym_url)]
_LogLevel = Annotated[Literal["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(str.upper)]


class Settings(BaseSettings):
    """See .env.example, which has one line on each."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    supabase_url: _Url
    supabase_secret_key: SecretStr = Field(
        validation_alias=AliasChoices("SUPABASE_SECRET_KEY", "SUPABASE_SERVICE_ROLE_KEY")
    )
    supabase_jwt_secret: Annotated[SecretStr, _at_least(_SHORTEST_JWT_SECRET)] | None = None

    qstash_url: _Url = "https://qstash.upstash.io"
    qstash_token: SecretStr
    qstash_current_signing_key: Annotated[SecretStr, _at_least(_SHORTEST_KEY)]
    qstash_next_signing_key: Annotated[SecretStr, _at_least(_SHORTEST_KEY)]
    public_url: _Url

    frontend_origins: Annotated[list[str], NoDecode, BeforeValidator(_origins)] = Field(default_factory=list)
    session_encryption_keys: Annotated[
        list[SecretStr], NoDecode, BeforeValidator(_list), AfterValidator(_are_session_keys)
    ] = Field(default_factory=list)
    service_api_key: Annotated[SecretStr, _at_least(_SHORTEST_KEY)] | None = None

    retention_days: int = Field(default=90, ge=1, le=36_500)

    notify_webhook_url: SecretStr | None = None
    notify_webhook_secret: SecretStr | None = None
    notify_language: Language = "en"
    notify_timezone: str = "Europe/Madrid"

    aimharder_box_url: _GymUrl = "https://{box}.aimharder.com"
    aimharder_account_url: _GymUrl = "https://aimharder.com"
    aimharder_login_url: _GymUrl = "https://login.aimharder.com"
    aimharder_proxy: _Url | None = None

    lead_seconds: int = Field(default=3, ge=0)
    max_duration_seconds: float = Field(default=10, gt=0)
    max_attempts: int = Field(default=5, ge=1)
    too_early_minutes: float = Field(default=15, ge=0)
    book_until_minutes_before: float = Field(default=0, ge=0, le=_LONGEST_BEFORE)
    max_active_prebookings: int = Field(default=15, ge=1, le=_MOST)
    max_creates_per_minute: int = Field(default=30, ge=1, le=_MOST)
    max_session_checks_per_minute: int = Field(default=12, ge=1, le=_MOST)
    sweep_seconds: float = Field(default=5, ge=0)
    qstash_max_delay_seconds: float = Field(default=518_400, gt=0)

    legacy_box_subdomain: Annotated[str, AfterValidator(box_label)] | None = None
    legacy_box_aimharder_id: str | None = None
    schedule_for_now: bool = False

    console: bool = False
    supabase_publishable_key: str | None = None
    console_members: Annotated[list[_Member], NoDecode, BeforeValidator(_list)] = Field(default_factory=list)

    log_level: _LogLevel = "INFO"
    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)

    @field_validator("notify_webhook_url")
    @classmethod
    def _is_url(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None:
            _url(value.get_secret_value())
        return value

    @field_validator("notify_webhook_secret")
    @classmethod
    def _is_webhook_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and len(_webhook_key(value)) < _SHORTEST_WEBHOOK_KEY:
            raise ValueError('must be "whsec_" and 24 bytes or more in base64: `echo whsec_$(openssl rand -base64 32)`')
        return value

    @field_validator("notify_timezone")
    @classmethod
    def _is_timezone(cls, value: str) -> str:
        if not is_zone(value):
            raise ValueError("must be a time zone's name, such as Europe/Madrid")
        return value

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.lead_seconds + _AFTER_LEAD_S > self.max_duration_seconds:
            raise ValueError(
                f"LEAD_SECONDS={self.lead_seconds} leaves too little of "
                f"MAX_DURATION_SECONDS={self.max_duration_seconds:g}: lower it, or raise the other to lead + 6"
            )
        if self.qstash_current_signing_key == self.qstash_next_signing_key:
            raise ValueError("QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY are equal: copy both anew")
        if (self.legacy_box_subdomain is None) != (self.legacy_box_aimharder_id is None):
            raise ValueError("LEGACY_BOX_SUBDOMAIN and LEGACY_BOX_AIMHARDER_ID name one box: set both, or neither")
        if self.console and not self.supabase_publishable_key:
            raise ValueError("CONSOLE=true needs SUPABASE_PUBLISHABLE_KEY: its page signs people in with it")
        if self.console_members and urlsplit(self.supabase_url).hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(
                "CONSOLE_MEMBERS shows passwords to everybody: it is for a local stack. "
                "Unset it, or point SUPABASE_URL at this machine"
            )
        if self.schedule_for_now and (urlsplit(self.qstash_url).hostname or "").endswith("upstash.io"):
            raise ValueError(
                "SCHEDULE_FOR_NOW=true is for local development: it would book at once. "
                "Unset it, or point QSTASH_URL at a local server"
            )
        if self.notify_webhook_url and not self.notify_webhook_secret:
            raise ValueError(
                "NOTIFY_WEBHOOK_SECRET is missing: NOTIFY_WEBHOOK_URL is set, and notices are signed. "
                "Make one with `echo whsec_$(openssl rand -base64 32)`"
            )
        return self

    @property
    def session_keys(self) -> tuple[bytes, ...]:
        """All decrypt; the first encrypts where `encrypts_sessions`."""
        return tuple(_key_bytes(key) for key in self.session_encryption_keys if key.get_secret_value() != _PLAIN)

    @property
    def encrypts_sessions(self) -> bool:
        """Not before each replica can decrypt: see README.md."""
        return len(self.session_keys) == len(self.session_encryption_keys) > 0

    @property
    def demo_members(self) -> tuple[tuple[str, str], ...]:
        """E-mail and password of those whom the page offers."""
        return tuple((email, password) for email, _, password in (one.partition(":") for one in self.console_members))

    @property
    def legacy_box(self) -> Box | None:
        """The box of adopted rows that name none."""
        if self.legacy_box_subdomain is None or self.legacy_box_aimharder_id is None:
            return None
        return Box(subdomain=self.legacy_box_subdomain, aimharder_id=self.legacy_box_aimharder_id)


def secrets_of(settings: BaseSettings) -> Iterator[str]:
    """All that must never be seen in a log: the secret values, and the passwords within URLs."""
    for value in dict(settings).values():
        for part in value if isinstance(value, list) else [value]:
            plain = part.get_secret_value() if isinstance(part, SecretStr) else part
            if isinstance(part, SecretStr):
                yield part.get_secret_value()
            if isinstance(plain, str) and "://" in plain and (password := _password(plain)):
                yield password


def _password(url: str) -> str | None:
    try:
        return urlsplit(url).password
    except ValueError:
        return None


class MigrationSettings(BaseSettings):
    """`migrate` needs the database alone, and nothing else needs it."""

    model_config = SettingsConfigDict(
        env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, hide_input_in_errors=True
    )

    database_url: SecretStr


def read_settings(kind: type[_Kind]) -> _Kind:
    """Raises SettingsError."""
    try:
        return kind()
    except ValidationError as exc:
        raise SettingsError("\n".join(_told(error) for error in exc.errors())) from exc


def _told(error: ErrorDetails) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is missing: set it in the environment or in .env (.env.example says what it is)"
    return f"{name}: {message}"
