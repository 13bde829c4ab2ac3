"""The settings: read once from the environment, each of a kind that is checked at the start."""

from prebooking.settings.settings import (
    MigrationSettings,
    Settings,
    SettingsError,
    borrowed_names,
    read_settings,
    secrets_of,
)

__all__ = ["MigrationSettings", "Settings", "SettingsError", "borrowed_names", "read_settings", "secrets_of"]
