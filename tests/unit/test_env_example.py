""".env.example names exactly the settings that there are, with their true defaults."""

import re
from pathlib import Path

import pytest
from pydantic import AliasChoices, SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from prebooking.settings import MigrationSettings, Settings, read_settings

EXAMPLE = Path(__file__).parents[2] / ".env.example"
_LINE = re.compile(r"(#?)([A-Z_0-9]+)=(.*)")
_FILLED_IN = {
    "SUPABASE_URL": "https://project.supabase.co",
    "SUPABASE_SECRET_KEY": "key",
    "QSTASH_TOKEN": "token",
    "QSTASH_CURRENT_SIGNING_KEY": "sig_current_0123456789abc",
    "QSTASH_NEXT_SIGNING_KEY": "sig_next_0123456789abc",
}


def written() -> dict[str, tuple[bool, str]]:
    """By name: whether it is commented out, and the value beside it."""
    found = [_LINE.fullmatch(line) for line in EXAMPLE.read_text(encoding="utf-8").splitlines()]
    return {line[2]: (line[1] == "#", line[3]) for line in found if line}


def fields(*kinds: type[BaseSettings]) -> dict[str, FieldInfo]:
    return {_name(field, info): info for kind in kinds for field, info in kind.model_fields.items()}


def _name(field: str, info: FieldInfo) -> str:
    alias = info.validation_alias
    return str(alias.choices[0]) if isinstance(alias, AliasChoices) else field.upper()


def test_it_names_exactly_the_settings_that_there_are() -> None:
    assert set(written()) == set(fields(Settings, MigrationSettings))
    assert "SUPABASE_SERVICE_ROLE_KEY" in EXAMPLE.read_text(encoding="utf-8")


def test_what_must_be_set_stands_bare_and_all_else_behind_a_hash() -> None:
    bare = {name for name, (commented, _) in written().items() if not commented}
    # The service itself needs no connection string.
    assert bare == {name for name, info in fields(Settings).items() if info.is_required()}


def test_what_stands_behind_a_hash_is_the_default(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*written(), "SUPABASE_SERVICE_ROLE_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    defaults = {n for n, i in fields(Settings).items() if i.get_default(call_default_factory=True) not in (None, [])}

    def read(uncommented: set[str]) -> Settings:
        lines = [f"{n}={_FILLED_IN.get(n, value)}" for n, (c, value) in written().items() if not c or n in uncommented]
        Path(".env").write_text("\n".join(lines), encoding="utf-8")
        return read_settings(Settings)

    assert len(defaults) > 10
    assert read(defaults) == read(set())


def test_it_shows_no_secret() -> None:
    secret = [name for name, info in fields(Settings).items() if "SecretStr" in str(info.annotation)]
    assert len(secret) == 12
    assert [written()[name][1] for name in secret] == [""] * 12
    assert fields(MigrationSettings)["DATABASE_URL"].annotation is SecretStr
