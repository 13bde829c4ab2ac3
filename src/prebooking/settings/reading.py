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

from prebooking.field_errors import message_of
from prebooking.settings import validators
from prebooking.settings.environment import Environment, environment_of, setting_name
from prebooking.settings.forward_headers import ForwardHeader
from prebooking.settings.urls import passwords_in

_Kind = TypeVar("_Kind", bound=BaseSettings)


class SettingsError(Exception):
    """The text names each variable that is missing or invalid, and how to correct it."""


class EnvironmentSettings(BaseSettings):
    """Base of settings that are read from the environment. The types of the fields are in validators.py."""

    model_config = SettingsConfigDict(
        env_file=".env",
        env_file_encoding="utf-8-sig",  # some editors write a byte order mark
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
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003  # secret files are not supported
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        assert isinstance(env_settings, EnvSettingsSource)
        return init_settings, Environment(settings_cls, dotenv_settings, env_settings)

    @field_validator("*", mode="before")
    @classmethod
    def _one_line(cls, value: Any) -> Any:
        return validators.one_line(value)


def secrets_of(settings: BaseSettings) -> dict[str, str]:
    """Returns secret values and passwords in URLs, which no log may show, each with the name of its setting."""
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
    """Returns the settings. Raises SettingsError."""
    try:
        return kind()
    except ValidationError as exc:
        borrowed = borrowed_names(kind)
        raise SettingsError("\n".join(_format_error(error, borrowed) for error in exc.errors())) from exc
    except (OSError, UnicodeDecodeError) as exc:  # pydantic reports the others
        raise SettingsError(f".env can't be read: {exc}") from exc


def borrowed_names(kind: type[BaseSettings]) -> dict[str, str]:
    """Returns the settings that are taken from a platform's variable, with its name."""
    return environment_of(kind).borrowed


def _format_error(error: ErrorDetails, borrowed: dict[str, str]) -> str:
    message = message_of(error)
    if not error["loc"]:
        return message
    name = str(error["loc"][0]).upper()
    if error["type"] == "missing":
        return f"{name} is missing: set it in the environment or in .env (.env.example says what it is)"
    return f"{name}{f' (from {borrowed[name]})' if name in borrowed else ''}: {message}"
