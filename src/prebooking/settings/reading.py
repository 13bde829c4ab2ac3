"""Reads settings from the environment and .env, and names each one that is missing or wrong."""

from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from prebooking.settings import kinds
from prebooking.settings.environment import Environment, environment_of, setting_name
from prebooking.settings.forward_headers import ForwardHeader
from prebooking.settings.urls import passwords_in

_Kind = TypeVar("_Kind", bound=BaseSettings)


class SettingsError(Exception):
    """The text names each variable that is missing or wrong, and what would be right."""


class EnvironmentSettings(BaseSettings):
    """Read once; each field is of one of the kinds in setting_kinds.py."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",  # some editors write its mark
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
        hide_input_in_errors=True,
        allow_inf_nan=False,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # nobody mounts them
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        assert isinstance(env_settings, EnvSettingsSource)
        return init_settings, Environment(settings_cls, dotenv_settings, env_settings)

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return kinds.one_line(value)


def secrets_of(settings: BaseSettings) -> dict[str, str]:
    """What must never be seen in a log, and of which setting it is: secret values, and the passwords within URLs."""
    return {secret: name for secret, name in _secrets(settings) if secret}


def _secrets(settings: BaseSettings) -> Iterator[tuple[str, str]]:
    for field_name, field in type(settings).model_fields.items():
        name, value = setting_name(field_name, field), getattr(settings, field_name)
        for item in value if isinstance(value, list) else [value]:
            part = item.value if isinstance(item, ForwardHeader) else item
            if isinstance(part, SecretStr):
                yield part.get_secret_value(), name
            plain = part.get_secret_value() if isinstance(part, SecretStr) else part
            if isinstance(plain, str):
                yield from ((password, name) for password in passwords_in(plain))


def read_settings(kind: type[_Kind]) -> _Kind:
    """Raises SettingsError."""
    try:
        return kind()
    except ValidationError as exc:
        borrowed = borrowed_names(kind)
        raise SettingsError("\n".join(_told(error, borrowed) for error in exc.errors())) from exc
    except (OSError, UnicodeDecodeError) as exc:  # the others are told by pydantic
        raise SettingsError(f".env can't be read: {exc}") from exc


def borrowed_names(kind: type[BaseSettings]) -> dict[str, str]:
    """The settings that are not set themselves, and the platform's variable that each is taken from."""
    return environment_of(kind).borrowed


def _told(error: ErrorDetails, borrowed: dict[str, str]) -> str:
    message = error["msg"].removeprefix("Value error, ")
    if not error["loc"]:
        return message
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is missing: set it in the environment or in .env (.env.example says what it is)"
    return f"{name}{f' (from {borrowed[name]})' if name in borrowed else ''}: {message}"
