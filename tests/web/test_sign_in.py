"""A member signs in by e-mail and password: what each answer of AimHarder becomes, and what is kept of it."""

import asyncio
import json
from typing import Any

import asyncpg
import pytest
from tests.support.executions import ANA, BOOK, ENTRANCE, LOGIN, WHOAMI, inject_fault, ran
from tests.support.world import BOX, Outside, World, open_world
from tests.web.signing_in import (
    ACCOUNT,
    KEY,
    NEXT_KEY,
    PASSWORD,
    RIGHT,
    WRONG,
    enrol,
    logins,
    post,
    remembered,
    stored,
    told,
)

from prebooking_local.aimharder import Box, Session, SessionRules

BEA = "bea@example.com"
NEEDS: tuple[Any, ...] = (False, True, "for each box")


@pytest.mark.parametrize("needs_setrefresh", NEEDS)
async def test_who_signs_in_is_told_their_gyms_and_is_booked(sweepless: World, needs_setrefresh: Any) -> None:
    sweepless.gym.accounts.rules = SessionRules(needs_setrefresh=needs_setrefresh)
    enrol(sweepless)
    answer = await post(sweepless, RIGHT)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert said.pop("boxes") == [{"subdomain": BOX.slug, "aimharder_id": str(BOX.boid), "name": BOX.name}]
    assert (said["connected"], said["alive"], said["session_type"]) == (True, True, "background")
    assert (said["account_email"], said["remembered"]) == (ACCOUNT, False)
    assert said == await told(sweepless)
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert row["result"]["outcome"] == "booked"
    assert len(row["result"]["timings"]["shots"]) == 1


@pytest.mark.parametrize("pasted", [False, True])
async def test_a_box_that_does_not_know_of_a_living_session_is_shown_it_and_asked_again(
    sweepless: World,
    pasted: bool,  # noqa: FBT001
) -> None:
    sweepless.gym.accounts.rules = SessionRules(needs_setrefresh="for each box")
    enrol(sweepless)
    sweepless.gym.gym.put_box(Box(slug="another", boid=8))
    if pasted:
        session = sweepless.gym.accounts.log_in(ACCOUNT, PASSWORD, "browser", sweepless.gym.site.clock())
        assert isinstance(session, Session)
        body = {"cookies": session.cookies(), "token": session.token, "fingerprint": session.fingerprint}
        await sweepless.http.put("/session", headers=sweepless.speaking_for(ANA), json=body)
    else:
        await post(sweepless, RIGHT)
    opens_at = sweepless.open_class(box="another")
    wish = sweepless.wish(opens_at) | {"box_subdomain": "another", "box_aimharder_id": 8}
    created = await sweepless.http.post("/prebookings", headers=sweepless.speaking_for(ANA), json=wish)
    _, row = await ran(sweepless, created.json())
    assert row["result"]["outcome"] == "booked"
    assert [shot["outcome"] for shot in row["result"]["timings"]["shots"]] == ["session_expired", "booked"]
    redirects = [entry.request.query["redirect"] for entry in sweepless.gym.ledger.of(ENTRANCE)]
    assert redirects[-1].endswith("another")
    assert len(redirects) == (1 if pasted else 2)


async def test_a_box_that_wants_its_own_cookie_gets_it(sweepless: World) -> None:
    sweepless.gym.gym.put_box(BOX.model_copy(update={"needs_php_session": True}))
    enrol(sweepless)
    assert (await post(sweepless, RIGHT)).status_code == 200
    _, row = await ran(sweepless, await sweepless.prebook(ANA, sweepless.open_class()))
    assert row["result"]["outcome"] == "booked"


async def test_it_is_one_login_one_entrance_and_one_proof_and_always_the_same_device(sweepless: World) -> None:
    enrol(sweepless)
    for _ in range(2):
        assert (await post(sweepless, RIGHT)).status_code == 200
    asked = [len(sweepless.gym.ledger.of(path)) for path in (LOGIN, ENTRANCE, WHOAMI)]
    assert asked == [2, 2, 2]
    first, second = logins(sweepless)
    assert first == second
    assert (first["username"], first["password"], first["iniframe"], len(first["fingerprint"])) == (
        *(ACCOUNT, PASSWORD, 0),
        50,
    )
    entered = sweepless.gym.ledger.of(ENTRANCE)[0].request.query
    assert entered["fingerprint"] == first["fingerprint"]
    assert entered["redirect"].endswith(BOX.slug)
    (row,) = await stored(sweepless)
    assert (row["fingerprint"], row["session_type"]) == (first["fingerprint"], "background")


async def test_signing_in_again_is_no_new_device_that_would_end_the_others(sweepless: World) -> None:
    enrol(sweepless)
    await post(sweepless, RIGHT)
    phone = sweepless.gym.accounts.stored_session(ACCOUNT, sweepless.gym.site.clock())
    sweepless.gym.accounts.rules = SessionRules(one_device=True)
    assert (await post(sweepless, RIGHT)).status_code == 200
    assert phone.dies_ns is None


FORMS = [{"login_failure": status, "login_says": says} for status in (401, 200) for says in ("key", "words")]


@pytest.mark.parametrize("form", FORMS, ids=str)
async def test_a_wrong_password_is_told_as_such_and_an_earlier_session_stays(
    sweepless: World, form: dict[str, Any]
) -> None:
    await sweepless.member(ANA)
    enrol(sweepless)
    before = await stored(sweepless)
    sweepless.gym.accounts.rules = SessionRules.model_validate(form)
    for wrong in (WRONG, RIGHT | {"email": "nobody@gym.example"}):
        answer = await post(sweepless, wrong)
        assert (answer.status_code, answer.json()["code"]) == (422, "wrong-credentials")
    assert await stored(sweepless) == before
    assert len(sweepless.gym.ledger.of(ENTRANCE)) == 0
    assert (await told(sweepless))["alive"] is True


@pytest.mark.parametrize("how", [401, 200, 429])
async def test_a_locked_account_is_told_as_such_and_nothing_is_stored(sweepless: World, how: int) -> None:
    sweepless.gym.accounts.rules = SessionRules.model_validate({"lock_after": 1, "lock_answer": how})
    enrol(sweepless)
    for body in (WRONG, RIGHT):
        answer = await post(sweepless, body)
        assert (answer.status_code, answer.json()["code"]) == (429, "too-many")
        assert int(answer.headers["retry-after"]) > 0
    assert await stored(sweepless) == []


BAD_DAYS = ["status", "login_page", "empty", "reset", "redirect", "truncated", "huge", "gzip_bomb", "logout"]


@pytest.mark.parametrize("kind", BAD_DAYS)
async def test_any_other_answer_is_no_answer_and_nothing_is_stored(sweepless: World, kind: str) -> None:
    await sweepless.member(ANA)
    enrol(sweepless)
    before = await stored(sweepless)
    for status in (403, 500) if kind == "status" else (200,):
        inject_fault(sweepless, kind, LOGIN, status=status)
        answer = await post(sweepless, RIGHT)
        assert (answer.status_code, answer.json()["code"]) == (503, "gym-unreachable")
        assert "retry-after" in answer.headers
    assert await stored(sweepless) == before


@pytest.mark.parametrize("path", [ENTRANCE, WHOAMI])
async def test_a_login_that_is_not_proven_is_not_stored(sweepless: World, path: str) -> None:
    enrol(sweepless)
    kind = {ENTRANCE: "status", WHOAMI: "logout"}[path]
    inject_fault(sweepless, kind, path, status=500, times=2)
    assert (await post(sweepless, RIGHT)).status_code == 503
    assert (await stored(sweepless), await told(sweepless)) == ([], await told(sweepless, BEA))
    sweepless.gym.faults.clear()
    assert (await post(sweepless, RIGHT)).status_code == 200


async def test_where_there_is_no_entrance_the_login_alone_counts(sweepless: World) -> None:
    enrol(sweepless)
    inject_fault(sweepless, "status", ENTRANCE, status=404)
    assert (await post(sweepless, RIGHT)).status_code == 200


async def test_a_proof_that_is_lost_is_asked_for_once_more(sweepless: World) -> None:
    enrol(sweepless)
    inject_fault(sweepless, "reset", WHOAMI)
    assert (await post(sweepless, RIGHT)).status_code == 200
    assert len(logins(sweepless)) == 1


# ---- how often


async def test_of_twenty_wrong_tries_at_once_five_reach_aimharder(
    sweepless: World, database: asyncpg.Connection, outside: Outside
) -> None:
    enrol(sweepless)
    async with open_world(database, *outside, beside=True, sweep_seconds=0) as second:
        answers = await asyncio.gather(
            *(post((sweepless, second)[n % 2], WRONG | {"password": f"wrong {n}"}) for n in range(20))
        )
    assert sorted(answer.status_code for answer in answers) == [422] * 5 + [429] * 15
    refused = next(answer for answer in answers if answer.status_code == 429)
    assert refused.json()["code"] == "too-many"
    assert 880 <= int(refused.headers["retry-after"]) <= 900
    assert len(logins(sweepless)) == 5


async def test_who_has_tried_too_often_at_a_members_address_leaves_the_member_their_others(sweepless: World) -> None:
    enrol(sweepless)
    enrol(sweepless, "other@gym.example")
    for _ in range(5):
        assert (await post(sweepless, WRONG, BEA)).status_code == 422
    assert (await post(sweepless, RIGHT)).status_code == 429  # the account's, whoever tries
    assert (await post(sweepless, RIGHT | {"email": "other@gym.example"})).status_code == 200


async def test_a_success_clears_the_count(sweepless: World) -> None:
    enrol(sweepless)
    for _ in range(2):
        codes = [(await post(sweepless, body)).status_code for body in (WRONG, WRONG, WRONG, WRONG, RIGHT)]
        assert codes == [422, 422, 422, 422, 200]


# ---- the password


@pytest.mark.parametrize("keys", ["", f"plain,{KEY}"])
async def test_without_a_key_that_encrypts_no_password_is_remembered_nor_sent(
    database: asyncpg.Connection, outside: Outside, keys: str
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=keys) as world:
        enrol(world)
        answer = await post(world, RIGHT | {"remember": True})
        assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "remember")
        assert logins(world) == []
        assert (await post(world, RIGHT | {"remember": False})).status_code == 200
        assert await remembered(world) is None


async def test_a_remembered_password_is_sealed_and_forgotten_with_the_session(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
        enrol(world)
        answer = await post(world, RIGHT | {"remember": True})
        assert (answer.json()["account_email"], answer.json()["remembered"]) == (ACCOUNT, True)
        assert (await told(world))["remembered"] is True
        sealed = await remembered(world)
        assert sealed
        assert sealed.startswith("enc:v1:")
        everything = await database.fetch(
            "select row_to_json(a)::text from prebooking.accounts a union all"
            " select row_to_json(s)::text from public.auth_sessions s"
        )
        assert PASSWORD not in str(everything)

        await world.http.delete("/session", headers=world.speaking_for(ANA))
        after = await told(world)
        assert (after["connected"], after["account_email"], after["remembered"]) == (False, None, False)
        assert await remembered(world) is None
        assert await stored(world) == []


async def test_signing_in_without_it_and_pasting_a_session_forget_it(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
        enrol(world)
        await post(world, RIGHT | {"remember": True})
        assert (await post(world, RIGHT)).json()["remembered"] is False
        assert await remembered(world) is None

        await post(world, RIGHT | {"remember": True})
        session = world.gym.accounts.stored_session(ACCOUNT, world.gym.site.clock())
        pasted = {"cookies": session.cookies(), "token": session.token, "fingerprint": session.fingerprint}
        await world.http.put("/session", headers=world.speaking_for(ANA), json=pasted)
        after = await told(world)
        assert (after["connected"], after["account_email"], after["remembered"]) == (True, None, False)
        assert await remembered(world) is None


async def test_whoever_is_asked_for_tells_of_their_own_account_alone(
    database: asyncpg.Connection, outside: Outside
) -> None:
    async with open_world(database, *outside, sweep_seconds=0, session_encryption_keys=KEY) as world:
        enrol(world)
        await post(world, RIGHT | {"remember": True})
        await world.http.delete("/session", headers=world.speaking_for(BEA))
        assert (await told(world, BEA))["account_email"] is None
        assert (await told(world))["remembered"] is True


# ---- what can be none


REFUSED: list[tuple[dict[str, Any], str]] = [
    *(({"email": email}, "email") for email in ("", "ana", "@gym.example", "ana@", "a b@c.d", "a\n@b.c", None, 3)),
    ({"email": f"{'a' * 250}@b.cd"}, "email"),
    *(({"password": password}, "password") for password in ("", None, 5, ["hush hush"], "hush hush" * 200)),
    *(({"remember": remember}, "remember") for remember in ("yes", 1, None)),
]


async def test_what_can_be_no_account_is_refused_by_field_unasked_and_unquoted(sweepless: World) -> None:
    for changed, field in REFUSED:
        answer = await post(sweepless, RIGHT | changed)
        assert (answer.status_code, answer.json()["code"]) == (422, "invalid-request"), changed
        assert [error["field"] for error in answer.json()["errors"]] == [field], changed
        assert "hush" not in answer.text
        assert PASSWORD not in answer.text
    headers = sweepless.speaking_for(ANA) | {"Content-Type": "application/json"}
    half = '{"email": "a@b.cd", "password": "\\ud800"}'
    assert (await sweepless.http.post("/session", headers=headers, content=half)).status_code == 422
    assert not sweepless.gym.ledger.entries
    assert (await sweepless.http.post("/session", json=RIGHT)).status_code == 401


async def test_a_password_is_sent_as_it_was_written(sweepless: World) -> None:
    for password in ("  blanks  ", "ñandú €", 'quote"\\', "\u0000", "x" * 1000):
        enrol(sweepless, password=password)
        answer = await post(sweepless, {"email": f" {ACCOUNT.upper()} ", "password": password})
        assert answer.status_code == 200, password
        assert logins(sweepless)[-1] | {"fingerprint": ""} == {
            "username": ACCOUNT.upper(),
            "password": password,
            "fingerprint": "",
            "iniframe": 0,
        }


async def test_two_replicas_sign_in_and_read_each_others(
    sweepless: World, database: asyncpg.Connection, outside: Outside
) -> None:
    enrol(sweepless)
    async with open_world(database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=KEY) as second:
        assert (await post(second, RIGHT | {"remember": True})).status_code == 200
        assert (await told(second))["alive"] is True
        assert (await told(sweepless))["remembered"] is True  # which has no key for the rest of it
    async with open_world(
        database, *outside, beside=True, sweep_seconds=0, session_encryption_keys=f"{NEXT_KEY},{KEY}"
    ) as third:
        _, row = await ran(third, await third.prebook(ANA, third.open_class()))
        assert row["result"]["outcome"] == "booked"
        assert len(third.gym.ledger.of(BOOK)) == 1
    (session,) = await stored(sweepless)
    assert json.loads(session["aimharder_cookies"]).startswith("enc:v1:")
