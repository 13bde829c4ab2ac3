"""The settings of the service, their defaults, and what they must fulfil together."""

import os
from typing import Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, model_validator

from prebooking.domain.notices import Language
from prebooking.domain.prebooking import Box
from prebooking.settings import validators
from prebooking.settings.reading import EnvironmentSettings, secrets_of

# Seconds that an execution needs after the opening: to send, to receive the response, to store and to answer.
_AFTER_LEAD_S = 6

_OF_OPENSSL = ("SSL_CERT_FILE", "SSLKEYLOGFILE")


class Settings(EnvironmentSettings):
    """The settings of the service; .env.example describes each."""

    supabase_url: validators.SupabaseUrl
    supabase_secret_key: validators.Token = Field(validation_alias=AliasChoices("SUPABASE_SECRET_KEY"))
    supabase_jwt_secret: validators.JwtSecret | None = None
    supabase_jwt_issuer: str | None = None

    qstash_url: validators.QStashUrl = "https://qstash.upstash.io"
    qstash_token: validators.Token
    qstash_current_signing_key: validators.SigningKey
    qstash_next_signing_key: validators.SigningKey
    qstash_current_signing_key_2: validators.SigningKey | None = None
    qstash_next_signing_key_2: validators.SigningKey | None = None
    qstash_forward_headers: validators.ForwardHeaders = Field(default_factory=list)
    public_url: validators.Url

    frontend_origins: validators.Origins = Field(default_factory=list)
    session_encryption_keys: validators.SessionKeys = Field(default_factory=list)
    service_api_key: validators.ServiceKey | None = None
    metrics_key: validators.ServiceKey | None = None

    retention_days: int = Field(default=90, ge=1, le=36_500)

    notify_webhook_url: validators.WebhookUrl | None = None
    notify_webhook_secret: validators.WebhookSecret | None = None
    notify_language: Language = "en"
    notify_timezone: validators.TimeZone = "Europe/Madrid"

    aimharder_box_url: validators.GymUrl = "https://{box}.aimharder.com"
    aimharder_account_url: validators.GymUrl = "https://aimharder.com"
    aimharder_login_url: validators.GymUrl = "https://login.aimharder.com"
    aimharder_proxy: validators.ProxyUrl | None = None

    lead_seconds: int = Field(default=3, ge=0, le=validators.A_DAY_S)
    max_duration_seconds: float = Field(default=10, gt=0, le=validators.A_DAY_S)
    max_attempts: validators.Count = 5
    too_early_minutes: float = Field(default=15, ge=0, le=validators.LONGEST_BEFORE)
    book_until_minutes_before: float = Field(default=0, ge=0, le=validators.LONGEST_BEFORE)
    max_active_prebookings: validators.Count = 15
    max_creates_per_minute: validators.Count = 30
    max_session_checks_per_minute: validators.Count = 12
    sweep_seconds: float = Field(default=5, ge=0, le=validators.A_DAY_S)
    qstash_max_delay_seconds: float = Field(default=518_400, gt=0, le=366 * validators.A_DAY_S)

    legacy_box_subdomain: validators.BoxLabel | None = None
    legacy_box_aimharder_id: validators.BoxNumber | None = None
    schedule_for_now: bool = False

    console: bool = False
    supabase_publishable_key: validators.PublicKey | None = None
    console_members: validators.Members = Field(default_factory=list)

    log_level: validators.LogLevel = "INFO"
    host: validators.Host = "127.0.0.1"
    port: validators.Port = 8000

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        if self.lead_seconds + _AFTER_LEAD_S > self.max_duration_seconds:
            raise ValueError(
                f"LEAD_SECONDS={self.lead_seconds} leaves too little of "
                f"MAX_DURATION_SECONDS={self.max_duration_seconds:g}: lower it, or raise MAX_DURATION_SECONDS to "
                f"{self.lead_seconds + _AFTER_LEAD_S} or more"
            )
        if self.qstash_current_signing_key == self.qstash_next_signing_key:
            raise ValueError("QSTASH_CURRENT_SIGNING_KEY and QSTASH_NEXT_SIGNING_KEY are equal: copy both again")
        second = (self.qstash_current_signing_key_2, self.qstash_next_signing_key_2)
        if (second[0] is None) != (second[1] is None):
            raise ValueError(
                "QSTASH_CURRENT_SIGNING_KEY_2 and QSTASH_NEXT_SIGNING_KEY_2 are a pair: set both, or neither"
            )
        if second[0] is not None and second[0] == second[1]:
            raise ValueError("QSTASH_CURRENT_SIGNING_KEY_2 and QSTASH_NEXT_SIGNING_KEY_2 are equal: copy both again")
        if (self.legacy_box_subdomain is None) != (self.legacy_box_aimharder_id is None):
            raise ValueError("LEGACY_BOX_SUBDOMAIN and LEGACY_BOX_AIMHARDER_ID belong together: set both, or neither")
        if self.console and not self.supabase_publishable_key:
            raise ValueError("CONSOLE=true needs SUPABASE_PUBLISHABLE_KEY, with which the page signs users in")
        if self.console_members and urlsplit(self.supabase_url).hostname not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError(
                "CONSOLE_MEMBERS shows passwords to everybody: it is for a local stack only. "
                "Unset it, or point SUPABASE_URL at this machine"
            )
        if self.schedule_for_now and (urlsplit(self.qstash_url).hostname or "").endswith("upstash.io"):
            raise ValueError(
                "SCHEDULE_FOR_NOW=true is for local development: it books at once. "
                "Unset it, or point QSTASH_URL at a local server"
            )
        if self.notify_webhook_url and not self.notify_webhook_secret:
            raise ValueError(
                "NOTIFY_WEBHOOK_SECRET is missing: NOTIFY_WEBHOOK_URL is set, and notifications are signed. "
                "Make one with `echo whsec_$(openssl rand -base64 32)`"
            )
        return self

    @model_validator(mode="after")
    def _no_secret_is_public(self) -> Self:
        secret = secrets_of(self).get(self.supabase_publishable_key or "")
        if secret:
            raise ValueError(f"{secret} and SUPABASE_PUBLISHABLE_KEY, which is public, are equal: copy both again")
        return self

    @model_validator(mode="after")
    def _tls_files_open(self) -> Self:
        """Opens the files that OpenSSL's variables name, before a client needs them."""
        from prebooking.adapters.tls import trusted  # noqa: PLC0415  # takes longer than a migration, which needs none

        try:
            trusted()
        except OSError as exc:
            names = [name for name in _OF_OPENSSL if os.environ.get(name)]
            named, reason = " or ".join(names or _OF_OPENSSL), exc.strerror or type(exc).__name__
            raise ValueError(f"{named} can't be opened ({reason}): correct or unset it") from exc
        return self

    @property
    def auth_url(self) -> str:
        """The URL of Supabase Auth."""
        return f"{self.supabase_url}/auth/v1"

    @property
    def issuer(self) -> str:
        """The expected `iss` of access tokens."""
        return self.supabase_jwt_issuer or self.auth_url

    @property
    def signing_keys(self) -> tuple[tuple[str, str], ...]:
        """Pairs of the current and the next key; two during a move between regions."""
        pairs = (
            (self.qstash_current_signing_key, self.qstash_next_signing_key),
            (self.qstash_current_signing_key_2, self.qstash_next_signing_key_2),
        )
        return tuple((one.get_secret_value(), other.get_secret_value()) for one, other in pairs if one and other)

    @property
    def forward_headers(self) -> dict[str, str]:
        """Headers that QStash forwards with every delivery."""
        return {header.name: header.value.get_secret_value() for header in self.qstash_forward_headers}

    @property
    def session_keys(self) -> tuple[bytes, ...]:
        """Keys that decrypt. The first one encrypts if `encrypts_sessions`."""
        return tuple(validators.session_key(key) for key in self.session_encryption_keys if not validators.is_mark(key))

    @property
    def encrypts_sessions(self) -> bool:
        """Whether to encrypt. It must not begin before every replica can decrypt (README.md)."""
        return bool(self.session_keys) and self.session_encryption_keys[0].get_secret_value() != validators.PLAIN

    @property
    def takes_sealed_sessions_alone(self) -> bool:
        """Whether to ignore sessions that are not encrypted: somebody else wrote them."""
        return bool(self.session_keys) and self.session_encryption_keys[0].get_secret_value() == validators.SEALED_ONLY

    @property
    def demo_members(self) -> tuple[tuple[str, str], ...]:
        """E-mail and password of the demo members on the page."""
        return tuple((email, password) for email, _, password in (one.partition(":") for one in self.console_members))

    @property
    def legacy_box(self) -> Box | None:
        """The gym of rows of the web application that name none."""
        if self.legacy_box_subdomain is None or self.legacy_box_aimharder_id is None:
            return None
        return Box(subdomain=self.legacy_box_subdomain, aimharder_id=self.legacy_box_aimharder_id)


class MigrationSettings(EnvironmentSettings):
    """The settings of `prebooking migrate`, the only command that needs DATABASE_URL."""

    database_url: validators.DatabaseUrl
