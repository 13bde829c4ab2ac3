"""What the tests of signing in do: sign Ana in, and look at what the database and the gym have of it."""

import json
from typing import Any

import httpx
from tests.support.executions import ANA, LOGIN
from tests.support.world import World

from prebooking_local.aimharder import Member

KEY, NEXT_KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=", "enp6enp6enp6enp6enp6enp6enp6enp6enp6enp6eno="
ACCOUNT = "ana@gym.example"  # at AimHarder she has another one
PASSWORD = "correct horse battery staple"
RIGHT: dict[str, Any] = {"email": ACCOUNT, "password": PASSWORD}
WRONG: dict[str, Any] = {"email": ACCOUNT, "password": "not the password of anybody"}


def enrol(world: World, email: str = ACCOUNT, **more: Any) -> None:
    world.gym.accounts.put_member(Member.model_validate({"email": email, "password": PASSWORD} | more))


async def post(world: World, body: dict[str, Any], email: str = ANA) -> httpx.Response:
    return await world.http.post("/session", headers=world.speaking_for(email), json=body)


async def told(world: World, email: str = ANA) -> dict[str, Any]:
    answer = await world.http.get("/session", headers=world.speaking_for(email))
    assert answer.status_code == 200, answer.text
    said: dict[str, Any] = answer.json()
    return said


async def stored(world: World) -> list[dict[str, Any]]:
    return [dict(row) for row in await world.database.fetch("select * from public.auth_sessions order by user_email")]


async def remembered(world: World, email: str = ANA) -> str | None:
    """The password as it is stored."""
    password: str | None = await world.database.fetchval(
        "select password from prebooking.accounts where user_email = $1", email
    )
    return password


def logins(world: World) -> list[dict[str, Any]]:
    """What the gym was asked."""
    return [json.loads(entry.request.body) for entry in world.gym.ledger.of(LOGIN)]
