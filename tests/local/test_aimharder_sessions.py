"""Login, the probe, the refresh, and all ways in which a session is dead."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from tests.local.aimharder_guest import CANCEL, Guest, Town, new_town

from prebooking_local.aimharder import SessionRules


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with new_town() as town:
        town.open()
        yield town


async def log_in(town: Town, **body: Any) -> Any:
    credentials = {"username": "ana@example.com", "password": "secret", "fingerprint": "f" * 50, "iniframe": 0}
    return await town.client.post("/api/login", json=credentials | body)


async def guest_logged_in(town: Town) -> Guest:
    answer = await log_in(town)
    cookies = dict(town.client.cookies)
    town.client.cookies.clear()
    return Guest(town.client, cookies, answer.json()["data"]["auth"]["refreshToken"])


async def is_dead(guest: Guest) -> bool:
    return bool(await guest.book() == {"logout": 1})


async def test_a_login_names_every_box_and_its_cookie_alone_books(town: Town) -> None:
    town.member()
    data = (await log_in(town)).json()["data"]
    role = data["userData"]["roles"][0]

    assert data["auth"]["authOK"] is True
    assert (role["boid"], role["centre_url"]) == (7, "mygym.aimharder.com")
    auth = town.client.cookies["amhrdrauth"]
    town.client.cookies.clear()
    assert not await is_dead(Guest(town.client, {"amhrdrauth": auth}, ""))


async def test_a_login_without_iniframe_works(town: Town) -> None:
    town.member()
    body = {"username": "ANA@example.com", "password": "secret", "fingerprint": "1"}

    assert (await town.client.post("/api/login", json=body)).status_code == 200


async def test_a_form_is_no_login(town: Town) -> None:
    town.member()
    answer = await town.client.post("/api/login", data={"username": "ana@example.com", "password": "secret"})

    assert answer.json()["error"]["message"] == "LOGIN_ERROR_MALFORMED_BODY"
    assert "amhrdrauth" not in answer.cookies


@pytest.mark.parametrize("wrong", [{"password": "no"}, {"username": "nobody@example.com"}])
async def test_wrong_credentials_are_a_401_or_a_200_that_says_no(town: Town, wrong: dict[str, str]) -> None:
    town.member()
    as_401 = await log_in(town, **wrong)
    town.aimharder.accounts.rules = SessionRules(login_failure=200)
    as_200 = await log_in(town, **wrong)

    assert (as_401.status_code, as_401.json()) == (401, {"error": {"code": 401, "message": "LOGIN_ERROR_LOGIN"}})
    assert (as_200.status_code, as_200.json()["data"]["auth"]["authOK"]) == (200, False)
    assert "amhrdrauth" not in town.client.cookies


@pytest.mark.parametrize(
    ("language", "words"),
    [("es", "Contraseña incorrecta"), ("ca", "Contrasenya incorrecta"), ("en", "Incorrect credentials")],
)
@pytest.mark.parametrize("status", [401, 200])
async def test_a_wrong_password_may_be_told_in_words(town: Town, status: int, language: str, words: str) -> None:
    town.aimharder.accounts.rules = SessionRules.model_validate({"login_failure": status, "login_says": "words"})
    town.member(language=language)
    answer = await log_in(town, password="no")

    assert (answer.status_code, answer.json()) == (status, {"data": {"auth": {"authOK": False}}, "info": words})


@pytest.mark.parametrize("how", [401, 200, 429])
async def test_too_many_wrong_passwords_lock_the_account_for_a_while(town: Town, how: int) -> None:
    town.aimharder.accounts.rules = SessionRules.model_validate({"lock_after": 3, "lock_answer": how})
    town.member()
    wrong = [(await log_in(town, password="no")).status_code for _ in range(2)]
    locked = [await log_in(town, password="no"), await log_in(town)]
    town.member("bea@example.com")
    other = await log_in(town, username="bea@example.com")
    town.clock.turn(15 * 60)

    assert wrong == [401, 401]
    for answer in locked:
        assert answer.status_code == how
        assert how == 429 or "demasiadas veces" in answer.json()["info"]
        assert (how == 401) == ("LOGIN_ERROR_LOGIN" in answer.text)
    assert [other.status_code, (await log_in(town)).status_code] == [200, 200]


async def test_a_right_password_ends_the_count_of_the_wrong_ones(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(lock_after=3)
    town.member()
    codes = [(await log_in(town, password=word)).status_code for word in ("no", "no", "secret", "no", "no", "secret")]

    assert codes == [401, 401, 200, 401, 401, 200]


async def test_a_login_from_a_new_device_may_end_the_sessions_of_the_others(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(one_device=True)
    phone = town.member()
    laptop = await guest_logged_in(town)
    again = await guest_logged_in(town)

    assert [await is_dead(guest) for guest in (phone, laptop, again)] == [True, False, False]


async def test_each_box_may_have_to_be_named_to_setrefresh(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(needs_setrefresh="for each box")
    town.member()
    ana = await guest_logged_in(town)
    dead = []
    for box in ("https://other.aimharder.com", f"{town.aimharder.url}/mygym", "https://mygym.aimharder.com/schedule"):
        dead.append(await is_dead(ana))
        await ana.request("GET", "/setrefresh", params={"token": ana.token, "fingerprint": "ab", "redirect": box})

    assert (dead, await is_dead(ana)) == ([True, True, False], False)


async def test_the_ledger_names_who_wanted_to_log_in(town: Town) -> None:
    await log_in(town, username="nobody@example.com")

    assert len(town.aimharder.ledger.of("/api/login", "nobody@example.com")) == 1


async def test_the_session_cookie_is_for_the_parent_domain_where_there_is_one(town: Town) -> None:
    town.member()
    body = {"username": "ana@example.com", "password": "secret", "fingerprint": "1"}
    named = await town.client.post("/api/login", json=body, headers={"Host": "login.aimharder.com"})
    numbered = await town.client.post("/api/login", json=body)
    cookies = [
        next(c for c in answer.headers.get_list("set-cookie") if c.startswith("amhrdrauth="))
        for answer in (named, numbered)
    ]

    assert re.fullmatch(r"amhrdrauth=\w+; Domain=\.aimharder\.com; HttpOnly; Path=/", cookies[0])
    assert re.fullmatch(r"amhrdrauth=\w+; HttpOnly; Path=/", cookies[1])


async def test_the_load_balancers_cookies_are_new_on_every_answer(town: Town) -> None:
    ana = town.member()
    seen = set()
    for path in ("/api/whoami", "/mygym/api/bookings?day=20300117&box=7", "/nowhere"):
        await ana.request("GET", path)
        seen |= {ana.cookies["AWSALB"]}
        assert ana.cookies["AWSALBCORS"] == ana.cookies["AWSALB"]

    assert len(seen) == 3


async def test_a_stored_session_has_the_four_cookies_a_token_and_a_fingerprint(town: Town) -> None:
    ana = town.member(id=69232)
    expiry = town.clock() // 10**9 + 90 * 86_400

    assert ana.cookies.keys() == {"amhrdrauth", "PHPSESSID", "AWSALB", "AWSALBCORS"}
    assert re.fullmatch(rf"69232\|{expiry}\|[0-9a-f]{{32}}", ana.token)
    assert len(town.aimharder.accounts.sessions("ana@example.com")[0].fingerprint) == 50


async def test_whoami_tells_a_living_session_from_a_dead_one(town: Town) -> None:
    ana = town.member(name="Ana", id=5)
    alive = (await ana.request("GET", "/api/whoami")).json()
    town.aimharder.accounts.kill("ana@example.com", town.clock())
    dead = (await ana.request("GET", "/api/whoami")).json()
    town.aimharder.accounts.rules = SessionRules(dead_whoami="logout")

    assert (alive["data"][0]["id"], alive["data"][0]["name"]) == (5, "Ana")
    assert alive["data"][0]["roles"][0]["boid"] == 7
    assert dead == {"data": []}
    assert (await ana.request("GET", "/api/whoami")).json() == {"logout": 1}


async def test_a_dead_session_is_told_logout_with_status_200_and_books_nothing(town: Town) -> None:
    ana = town.member()
    booked = await ana.book()
    town.aimharder.accounts.kill("ana@example.com", town.clock())
    answer = await ana.request("POST", "/mygym/api/book", data={"id": 501, "day": "20300117"})

    assert (answer.status_code, answer.json()) == (200, {"logout": 1})
    assert await ana.post(CANCEL, id=booked["id"], late=0) == {"logout": 1}
    assert await ana.get("/api/nextBookings", box=7) == {"logout": 1}
    assert await ana.refresh() == {"logout": 1}
    assert len(town.aimharder.site.bookings()) == 1


async def test_who_has_no_session_at_all_is_told_logout(town: Town) -> None:
    assert await is_dead(town.stranger())
    assert await town.stranger().refresh("1|2|3") == {"logout": 1}


async def test_a_session_dies_at_the_instant_it_was_told_to(town: Town) -> None:
    ana = town.member()
    town.aimharder.accounts.kill("ana@example.com", town.clock() + 1)
    before = await is_dead(ana)
    town.clock.now_ns += 1

    assert (before, await is_dead(ana)) == (False, True)


async def test_a_session_lives_its_minutes_from_the_last_refresh(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(session_minutes=30)
    ana = town.member()
    town.clock.turn(29 * 60)
    await ana.refresh()
    town.clock.turn(29 * 60)
    refreshed = await is_dead(ana)
    town.clock.turn(60)

    assert (refreshed, await is_dead(ana)) == (False, True)


async def test_a_refresh_rotates_the_token_and_the_cookie(town: Town) -> None:
    ana = town.member()
    old = Guest(ana.client, dict(ana.cookies), ana.token)
    town.clock.turn(1)
    answer = await ana.refresh()

    assert re.fullmatch(r"\d+\|\d+\|[0-9a-f]{32}", answer["newToken"])
    assert answer["newToken"] != old.token
    assert ana.cookies["amhrdrauth"] != old.cookies["amhrdrauth"]
    assert await is_dead(old)
    assert not await is_dead(ana)


async def test_a_refresh_may_leave_the_cookie_as_it_is(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(refresh_renews_cookie=False)
    ana = town.member()
    before = ana.cookies["amhrdrauth"]
    await ana.refresh()

    assert ana.cookies["amhrdrauth"] == before


async def test_a_stale_token_is_told_logout_and_may_cost_the_session(town: Town) -> None:
    ana = town.member()
    stale = ana.token
    await ana.refresh()
    refused = await ana.refresh(stale)
    survived = not await is_dead(ana)
    town.aimharder.accounts.rules = SessionRules(stale_token_kills=True)
    await ana.refresh(stale)

    assert (refused, survived) == ({"logout": 1}, True)
    assert await is_dead(ana)


async def test_two_sessions_of_a_member_live_apart_until_the_member_is_logged_out(town: Town) -> None:
    first = town.member()
    second = await guest_logged_in(town)
    await first.refresh()
    both = [await is_dead(first), await is_dead(second)]
    town.aimharder.accounts.kill("ana@example.com", town.clock())

    assert both == [False, False]
    assert [await is_dead(first), await is_dead(second)] == [True, True]


async def test_a_fresh_login_may_have_to_visit_setrefresh_first(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(needs_setrefresh=True)
    town.member()
    ana = await guest_logged_in(town)
    before = await is_dead(ana)
    page = await ana.request("GET", "/setrefresh", params={"token": ana.token, "fingerprint": "ab"})

    assert before
    assert f'localStorage.setItem("refreshToken", "{ana.token}")' in page.text
    assert 'localStorage.setItem("fingerprint", "ab")' in page.text
    assert not await is_dead(ana)


async def test_setrefresh_with_a_wrong_token_is_a_page_without_one(town: Town) -> None:
    page = await town.client.get("/setrefresh", params={"token": "1|2|3", "fingerprint": "ab"})

    assert (page.status_code, "localStorage" in page.text) == (200, False)


async def test_a_box_may_want_the_php_session_of_its_schedule(town: Town) -> None:
    town.box(needs_php_session=True)
    stored = town.member()
    ana = await guest_logged_in(town)
    before = await is_dead(ana)
    page = await ana.request("GET", "/mygym/schedule")

    assert before
    assert "box: 7" in page.text
    assert not await is_dead(ana)
    assert not await is_dead(stored)


async def test_the_ledger_of_sessions_has_each_token_and_who_ended_it(town: Town) -> None:
    ana = town.member()
    first = ana.token
    renewed = (await ana.refresh())["newToken"]
    town.aimharder.accounts.kill("ana@example.com", town.clock())

    [session] = (await town.client.get("/_control/sessions")).json()["sessions"]
    assert [renewal["token"] for renewal in session["renewals"]] == [first, renewed]
    assert len({renewal["auth"] for renewal in session["renewals"]}) == 2
    assert (session["member"], session["ended_by"]) == ("ana@example.com", "the gym")


async def test_the_ledger_tells_a_session_that_a_stale_token_ended_from_one_that_the_gym_ended(town: Town) -> None:
    town.aimharder.accounts.rules = SessionRules(stale_token_kills=True)
    ana = town.member()
    first = ana.token
    await ana.refresh()
    await ana.refresh(first)
    town.aimharder.accounts.kill("ana@example.com", town.clock())

    [session] = (await town.client.get("/_control/sessions")).json()["sessions"]
    assert session["ended_by"] == "a stale token"
