"""What the answers to a login mean: in, wrong, locked, or nothing that anybody may act on."""

import json
from typing import Any

import pytest

from prebooking.adapters.aimharder.login import read_entrance, read_login
from prebooking.domain.classes import MemberBox
from prebooking.domain.cookies import Domain
from prebooking.domain.errors import AccountLockedError, WrongCredentialsError

ROLE = {"boid": 7, "centre_url": "mygym.aimharder.com", "gym": "My gym", "role": "client"}
TOKEN = "69232|1768841634|0123456789abcdef"


def success(**auth: Any) -> dict[str, Any]:
    return {"data": {"userData": {"id": 1, "roles": [ROLE]}, "auth": {"authOK": True, "refreshToken": TOKEN} | auth}}


def refused(info: Any = None, **more: Any) -> dict[str, Any]:
    return {"data": {"auth": {"authOK": False}}, "info": info} | more


def error(message: str, **more: Any) -> dict[str, Any]:
    return {"error": {"code": 401, "message": message}} | more


KEY = "LOGIN_ERROR_LOGIN"
WRONG = [
    (401, error(KEY)),
    (200, error(KEY)),
    (200, refused(KEY)),
    (401, refused(KEY)),
    *(
        (status, refused(words))
        for status in (200, 401)
        for words in (
            "Contraseña incorrecta",
            "Contrasenya incorrecta",
            "Usuario o contraseña incorrectos",
            "<b>Incorrect</b> credentials",
            "Wrong password",
            "Contraseña no válida",
        )
    ),
    (200, {"data": {"auth": {"authOK": 0, "info": "Datos incorrectos"}}}),
    (401, error("Contraseña incorrecta")),
]
LOCKED = [
    (429, b""),
    (429, b"<h1>429</h1>"),
    (429, error(KEY)),
    (401, error(KEY, info="Has introducido tus datos incorrectos demasiadas veces")),
    (200, refused("Lo has intentado demasiadas  <b>veces</b>")),
    (200, refused("Too many wrong attempts: incorrect password")),
    (403, error("TOO MANY attempts")),
    (503, b"<html><div id='loginErrors'>Contrase\xc3\xb1a incorrecta demasiadas veces</div></html>"),
    (200, refused({"lines": ["Demasiadas", "veces"]})),
]
NOTHING = [
    (200, b""),
    (200, b"<html>Welcome to AimHarder</html>"),
    (200, b"<script>var text = 'demasiadas veces'</script>"),
    (403, b"<h1>403 Forbidden</h1>Your IP has been blocked"),
    (403, error(KEY)),
    (500, error(KEY)),
    (401, b"LOGIN_ERROR_LOGIN"),
    (401, {}),
    (400, error("LOGIN_ERROR_MALFORMED_BODY")),
    (401, error("LOGIN_ERROR_LOGIN_DISABLED")),
    (200, {"logout": 1}),
    (200, refused()),
    (200, refused("")),
    (200, refused("Something went wrong")),
    (200, refused("Código incorrecto")),
    (200, refused("Incorrect captcha")),
    (200, refused("Debes cambiar tu contraseña")),
    (200, {"info": "Contraseña incorrecta"}),
    (200, success(refreshToken="")),
    (200, success(refreshToken=None)),
    (200, success(refreshToken="a\nb")),
    (200, success(refreshToken="ñ" * 20)),
    (200, success(authOK=None)),
    (201, success()),
    (302, b""),
    (200, [1, [2]]),
    (200, {"data": []}),
    (200, {"data": {"auth": []}}),
]


def body_of(said: Any) -> bytes:
    return said if isinstance(said, bytes) else json.dumps(said).encode()


@pytest.mark.parametrize(("status", "said"), WRONG)
def test_a_wrong_password_in_each_of_its_forms(status: int, said: Any) -> None:
    with pytest.raises(WrongCredentialsError):
        read_login(status, body_of(said))


@pytest.mark.parametrize(("status", "said"), LOCKED)
def test_a_lock_goes_before_whatever_else_stands_there(status: int, said: Any) -> None:
    with pytest.raises(AccountLockedError):
        read_login(status, body_of(said))


@pytest.mark.parametrize(("status", "said"), NOTHING)
def test_all_else_says_nothing_of_the_password(status: int, said: Any) -> None:
    with pytest.raises(ValueError, match=f"HTTP {status}"):
        read_login(status, body_of(said))


def test_a_login_gives_its_token_and_every_box() -> None:
    box = MemberBox(subdomain="mygym", aimharder_id="7", domain=Domain.COM, name="My gym")
    assert [read_login(200, body_of(success(authOK=yes))).boxes for yes in (True, 1, "1")] == [(box,)] * 3
    assert read_login(200, body_of(success())).token == TOKEN
    without_roles = {"data": {"userData": None, "auth": {"authOK": True, "refreshToken": TOKEN}}, "info": KEY}
    assert read_login(200, body_of(without_roles)).boxes == ()


def test_no_token_is_shown_by_its_repr() -> None:
    assert TOKEN not in repr(read_login(200, body_of(success())))


def test_an_endless_nest_is_no_answer() -> None:
    with pytest.raises(ValueError, match="HTTP 200"):
        read_login(200, b"[" * 100_000)


def test_the_entrance_may_hand_out_a_newer_token() -> None:
    page = f'<script>localStorage.setItem("refreshToken", "{TOKEN}");localStorage.setItem("fingerprint", "f");</script>'
    assert read_entrance(page.encode()) == TOKEN
    for other in (b"", b"<h1>AimHarder</h1>", b'localStorage.setItem("refreshToken", "");', b"\xff" * 100):
        assert read_entrance(other) is None
