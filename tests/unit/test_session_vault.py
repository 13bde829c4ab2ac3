"""Session secrets at rest: sealed under the first key, bound to user and field, refused in any other place."""

import base64
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prebooking.adapters.supabase.session_vault import SessionVault, UnreadableError, is_sealed
from prebooking.adapters.supabase.sessions import open_cookies

OLD, NEW = bytes(range(32)), bytes(range(32, 64))
ANA = "ana@example.com"


@settings(max_examples=50)
@given(plain=st.text(max_size=200).filter(lambda text: not is_sealed(text)), user=st.text(max_size=50))
def test_what_is_sealed_opens_for_the_same_user_and_field_and_shows_nothing(plain: str, user: str) -> None:
    vault = SessionVault([NEW])
    sealed = vault.seal(plain, user, "token")
    assert sealed.startswith(f"enc:v1:{vault.key_id}:")
    assert len(plain) < 4 or plain not in sealed
    assert vault.open(sealed, user, "token") == plain


def test_the_same_value_is_never_sealed_alike() -> None:
    vault = SessionVault([NEW])
    assert len({vault.seal("secret", ANA, "token") for _ in range(100)}) == 100


@pytest.mark.parametrize(("user", "field"), [("bea@example.com", "token"), (ANA, "cookies"), ("", "token")])
def test_a_value_from_another_row_or_field_is_refused(user: str, field: str) -> None:
    vault = SessionVault([NEW])
    with pytest.raises(UnreadableError, match="sealed for another user or field") as told:
        vault.open(vault.seal("secret", ANA, "token"), user, field)
    assert "secret" not in str(told.value)


def test_a_users_address_is_the_same_in_any_case() -> None:
    vault = SessionVault([NEW])
    assert vault.open(vault.seal("secret", "Ana@Example.com", "token"), ANA, "token") == "secret"


def test_the_first_key_seals_and_all_open() -> None:
    old, both, new = SessionVault([OLD]), SessionVault([NEW, OLD]), SessionVault([NEW])
    sealed = old.seal("secret", ANA, "token")
    assert both.open(sealed, ANA, "token") == "secret"
    assert new.open(both.seal(both.open(sealed, ANA, "token"), ANA, "token"), ANA, "token") == "secret"
    with pytest.raises(UnreadableError, match=f"under key {old.key_id}, which SESSION_ENCRYPTION_KEYS lacks"):
        new.open(sealed, ANA, "token")


def test_without_keys_everything_stays_as_it_is_and_nothing_sealed_is_taken_for_plain() -> None:
    none = SessionVault()
    assert none.seal("secret", ANA, "token") == "secret"
    assert none.open("69232|1768841634|d1", ANA, "token") == "69232|1768841634|d1"
    with pytest.raises(UnreadableError, match="which SESSION_ENCRYPTION_KEYS lacks"):
        none.open(SessionVault([NEW]).seal("secret", ANA, "token"), ANA, "token")


def test_while_not_sealing_what_others_have_sealed_is_opened() -> None:
    waiting, sealing = SessionVault([NEW], sealing=False), SessionVault([NEW])
    assert waiting.seal("secret", ANA, "token") == "secret"
    assert waiting.open(sealing.seal("secret", ANA, "token"), ANA, "token") == "secret"


def test_no_bit_of_a_sealed_value_may_change() -> None:
    vault = SessionVault([NEW])
    head, _, body = vault.seal("secret", ANA, "token").rpartition(":")
    sealed = base64.urlsafe_b64decode(body)
    for place in range(len(sealed)):
        changed = bytes(byte ^ (n == place) for n, byte in enumerate(sealed))
        with pytest.raises(UnreadableError):
            vault.open(f"{head}:{base64.urlsafe_b64encode(changed).decode()}", ANA, "token")


@pytest.mark.parametrize(
    "stored",
    [
        "enc:",
        "enc:v1:",
        "enc:v2:00000000:AAAA",
        "enc:v1:{key}:",
        "enc:v1:{key}:A",
        "enc:v1:{key}:AAAA",
        "enc:v1:{key}:é",
    ],
)
def test_what_only_looks_sealed_is_refused(stored: str) -> None:
    vault = SessionVault([NEW])
    with pytest.raises(UnreadableError):
        vault.open(stored.format(key=vault.key_id), ANA, "token")


def test_a_key_id_tells_keys_apart_and_nothing_of_them() -> None:
    keys = [os.urandom(32) for _ in range(20)]
    ids = {SessionVault([key]).key_id for key in keys}
    assert len(ids) == 20
    assert not any(str(key_id) in key.hex() for key_id, key in zip(ids, keys, strict=True))


def test_once_all_is_sealed_what_is_not_opens_no_more() -> None:
    vault = SessionVault([NEW], sealed_only=True)
    assert vault.open(vault.seal("secret", ANA, "token"), ANA, "token") == "secret"
    for read in (lambda: vault.open("secret", ANA, "token"), lambda: open_cookies(vault, [{"name": "a"}], ANA)):
        with pytest.raises(UnreadableError, match="SESSION_ENCRYPTION_KEYS lets no plain one count") as told:
            read()
        assert "secret" not in str(told.value)
