"""Sources of the settings: the environment, then .env, then the variables of hosting platforms."""

from collections.abc import Mapping
from typing import Any

from pydantic import AliasChoices
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, DotEnvSettingsSource, EnvSettingsSource, PydanticBaseSettingsSource

# By setting: variables of platforms and integrations. The first that is set is used; `{}` is its value.
# Vercel's Supabase integration, Vercel, Render, Railway, Fly.io, Koyeb.
PLATFORMS: Mapping[str, Mapping[str, str]] = {
    "SUPABASE_URL": {"NEXT_PUBLIC_SUPABASE_URL": "{}"},
    "SUPABASE_SECRET_KEY": {"SUPABASE_SERVICE_ROLE_KEY": "{}"},
    "SUPABASE_PUBLISHABLE_KEY": {
        "NEXT_PUBLIC_SUPABASE_PUBLISHABLE_KEY": "{}",
        "SUPABASE_ANON_KEY": "{}",
        "NEXT_PUBLIC_SUPABASE_ANON_KEY": "{}",
    },
    "PUBLIC_URL": {
        "VERCEL_PROJECT_PRODUCTION_URL": "https://{}",
        "RENDER_EXTERNAL_URL": "{}",
        "RAILWAY_PUBLIC_DOMAIN": "https://{}",
        "FLY_APP_NAME": "https://{}.fly.dev",
        "KOYEB_PUBLIC_DOMAIN": "https://{}",
    },
    "DATABASE_URL": {"POSTGRES_URL_NON_POOLING": "{}", "POSTGRES_URL": "{}"},
}


class Environment(PydanticBaseSettingsSource):
    """The variables of the environment and of .env, stripped of whitespace. Empty ones count as not set."""

    def __init__(self, kind: type[BaseSettings], *sources: EnvSettingsSource) -> None:
        """`sources`: later ones take precedence."""
        super().__init__(kind)
        self._variables: dict[str, str] = {}
        for source in sources:
            stripped = {name.upper(): (value or "").strip() for name, value in source.env_vars.items()}
            self._variables |= {name: value for name, value in stripped.items() if value}

    @property
    def borrowed(self) -> dict[str, str]:
        """The settings that are taken from a platform's variable, with its name."""
        found = {setting_name(*field): self._platforms(setting_name(*field)) for field in self._fields}
        return {name: platforms for name, platforms in found.items() if platforms and name not in self._variables}

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        name = setting_name(field_name, field)
        key = name if isinstance(field.validation_alias, AliasChoices) else field_name
        variable = self._platforms(name)
        if name in self._variables or variable is None:
            return self._variables.get(name), key, False
        return PLATFORMS[name][variable].replace("{}", self._variables[variable]), key, False

    def __call__(self) -> dict[str, Any]:
        found = [self.get_field_value(field, name) for name, field in self._fields]
        return {key: value for value, key, _ in found if value is not None}

    @property
    def _fields(self) -> list[tuple[str, FieldInfo]]:
        return list(self.settings_cls.model_fields.items())

    def _platforms(self, name: str) -> str | None:
        return next((variable for variable in PLATFORMS.get(name, {}) if variable in self._variables), None)


def environment_of(kind: type[BaseSettings]) -> Environment:
    return Environment(kind, DotEnvSettingsSource(kind), EnvSettingsSource(kind))


def setting_name(field_name: str, field: FieldInfo) -> str:
    """Returns the name of a field's variable."""
    alias = field.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field_name.upper()
