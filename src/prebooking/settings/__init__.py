"""The settings: read once from the environment, each of a kind that is checked at the start."""

from prebooking.settings.reading import SettingsError, borrowed_names, read_settings, secrets_of
from prebooking.settings.settings import MigrationSettings, Settings

__all__ = ["MigrationSettings", "Settings", "SettingsError", "borrowed_names", "read_settings", "secrets_of"]
