"""Tries to sign in are counted exactly; the newest sign-in counts, and what was forgotten is not brought back."""

import asyncio
from collections import Counter
from typing import Any
from uuid import UUID, uuid4

import pytest
from tests.postgres.functions import NOW, Answer, Functions, Many, seconds, until_waiting

ANA, BEA = "ana@example.com", "bea@example.com"
GYM = "ana@gym.example"


async def admit(db: Functions, user: str = ANA, account: str = GYM, token: UUID | None = None) -> Answer:
    return await db.call(
        "admit_sign_in", user_email=user, account_email=account, token=token or uuid4(), fingerprint=uuid4().hex
    )


async def ticket(db: Functions, user: str = ANA, account: str = GYM) -> int:
    given: int = (await admit(db, user, account))["ticket"]
    return given


async def store(db: Functions, number: int, *, user: str = ANA, account: str = GYM, **more: Any) -> Answer:
    new = {"token": f"token-{number}", "cookies": [], "fingerprint": "print", "password": f"enc:{number}"} | more
    return await db.call("store_sign_in", user_email=user, ticket=number, account_email=account, **new)


async def session(db: Functions, user: str = ANA) -> dict[str, Any] | None:
    answer = await db.call("read_session", user_email=user)
    return None if answer["session"] is None else answer["state"] | answer["session"]


async def password(db: Functions, user: str = ANA) -> str | None:
    found: str | None = await db.connection.fetchval(
        "select password from prebooking.accounts where user_email = $1", user
    )
    return found


# ---- how often


async def test_a_user_has_five_tries_within_15_minutes_and_is_told_the_wait(db: Functions) -> None:
    for n in range(5):
        await db.at(NOW + seconds(10 * n))
        assert (await admit(db, "Ana@Example.com", f"account{n}@gym.example"))["outcome"] == "admitted"
    await db.at(NOW + seconds(890))
    assert await admit(db) == {"outcome": "too_many", "retry_after": 10}
    assert (await admit(db, BEA))["outcome"] == "admitted"
    await db.at(NOW + seconds(900))
    assert (await admit(db))["outcome"] == "admitted"
    assert await admit(db) == {"outcome": "too_many", "retry_after": 10}  # a refusal does not lengthen the wait


async def test_an_account_has_five_tries_whoever_they_are_of(db: Functions) -> None:
    for n in range(5):
        assert (await admit(db, f"user{n}@example.com", GYM.upper()))["outcome"] == "admitted"
    assert (await admit(db, BEA, f" {GYM} "))["outcome"] == "too_many"
    assert (await admit(db, BEA, "bea@gym.example"))["outcome"] == "admitted"


async def test_a_repeat_is_the_same_try(db: Functions) -> None:
    token = uuid4()
    first, *again = [await admit(db, token=token) for _ in range(6)]
    assert again == [first] * 5
    assert [(await admit(db))["outcome"] for _ in range(5)] == ["admitted"] * 4 + ["too_many"]


async def test_of_thirty_at_once_of_one_user_or_at_one_account_five_are_admitted(many: Many) -> None:
    tabs = await many(30)
    of_user = await asyncio.gather(*(admit(tab, ANA, f"a{n}@gym.example") for n, tab in enumerate(tabs)))
    at_account = await asyncio.gather(*(admit(tab, f"user{n}@example.com", GYM) for n, tab in enumerate(tabs)))
    for answers in (of_user, at_account):
        assert Counter(answer["outcome"] for answer in answers) == {"admitted": 5, "too_many": 25}


async def test_a_success_clears_the_accounts_count_and_of_the_user_the_tries_at_it(db: Functions) -> None:
    await admit(db, ANA, "other@gym.example")
    for _ in range(2):
        await admit(db, BEA)
    await admit(db)
    await store(db, await ticket(db))

    left = [(await admit(db, BEA))["outcome"] for _ in range(4)]
    assert left == ["admitted"] * 3 + ["too_many"]  # Bea's own two still count for her
    left = [(await admit(db, ANA, f"{n}@gym.example"))["outcome"] for n in range(5)]
    assert left == ["admitted"] * 4 + ["too_many"]  # and for Ana the one at another account


async def test_two_at_one_account_take_turns_whoever_they_are(many: Many) -> None:
    first, second = await many(2)
    async with first.connection.transaction():
        for n in range(5):
            await admit(first, f"user{n}@example.com")
        late = asyncio.create_task(admit(second, BEA))
        await until_waiting(second, for_=first)
    assert (await late)["outcome"] == "too_many"


async def test_a_success_leaves_others_a_whole_allowance_at_the_account(db: Functions) -> None:
    for _ in range(4):
        await admit(db, BEA)
    await store(db, await ticket(db))
    left = [(await admit(db, f"user{n}@example.com"))["outcome"] for n in range(6)]
    assert left == ["admitted"] * 5 + ["too_many"]


async def test_no_more_is_kept_than_the_last_quarter_of_an_hour(db: Functions) -> None:
    for n in range(4):
        await admit(db, f"user{n}@example.com", f"account{n}@gym.example")
    await db.at(NOW + seconds(900))
    await admit(db)
    assert await db.connection.fetchval("select count(*) from prebooking.sign_in_tries") == 1


# ---- which one counts


async def test_a_sign_in_is_the_users_background_session_and_says_whose_account_it_is(db: Functions) -> None:
    answer = await store(db, await ticket(db))
    assert (answer["outcome"], answer["state"]["account_email"], answer["state"]["remembered"]) == ("stored", GYM, True)
    found = await session(db)
    assert found
    assert (found["token"], found["session_type"]) == ("token-1", "background")
    answer = await store(db, await ticket(db), password=None)
    assert (answer["state"]["account_email"], answer["state"]["remembered"]) == (GYM, False)
    assert await db.connection.fetchval("select count(*) from public.auth_sessions") == 1


async def test_to_aimharder_a_user_is_one_device(db: Functions) -> None:
    first, second, other = [(await admit(db, user))["fingerprint"] for user in (ANA, ANA.title(), BEA)]
    assert first == second != other
    await db.call("disconnect_session", user_email=ANA)
    assert (await admit(db))["fingerprint"] == first


async def test_the_newest_sign_in_counts_in_whatever_order_they_come(db: Functions) -> None:
    older, newer = await ticket(db), await ticket(db)
    assert (await store(db, newer))["outcome"] == "stored"
    late = await store(db, older)
    assert (late["outcome"], late["state"]["remembered"]) == ("superseded", True)
    found = await session(db)
    assert found
    assert (found["token"], await password(db)) == (f"token-{newer}", f"enc:{newer}")
    last = await ticket(db)
    assert (await store(db, last))["outcome"] == "stored"


async def test_a_repeat_of_the_store_changes_nothing(db: Functions) -> None:
    number = await ticket(db)
    first = await store(db, number)
    await db.connection.execute("update public.auth_sessions set aimharder_token = 'rotated'")
    assert await store(db, number) == first
    found = await session(db)
    assert found
    assert found["token"] == "rotated"


@pytest.mark.parametrize("signed_in", [True, False])
async def test_what_was_forgotten_is_not_brought_back(db: Functions, signed_in: bool) -> None:  # noqa: FBT001
    if signed_in:
        await store(db, await ticket(db))
    late = await ticket(db)
    await db.call("disconnect_session", user_email=ANA.title())
    assert await store(db, late) == {"outcome": "superseded", "state": None}
    assert (await session(db), await password(db)) == (None, None)
    account = await db.connection.fetchval("select account_email from prebooking.accounts")
    assert account is None


@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_sign_in_under_way_stores_nothing_once_the_address_is_released(
    db: Functions,
    signed_in: bool,  # noqa: FBT001
) -> None:
    if signed_in:
        await store(db, await ticket(db))
    late = await ticket(db)
    await db.call("release_email", email=ANA.title())
    assert await store(db, late) == {"outcome": "superseded", "state": None}
    assert (await session(db), await password(db)) == (None, None)


@pytest.mark.parametrize("signed_in", [True, False])
async def test_a_sign_in_under_way_stores_nothing_once_its_user_has_another_address(
    db: Functions,
    signed_in: bool,  # noqa: FBT001
) -> None:
    await db.call("own_email", sub="first", email=ANA)
    if signed_in:
        await store(db, await ticket(db))
    late = [await ticket(db, account=f"{n}@gym.example") for n in range(3)]
    await db.call("own_email", sub="first", email=BEA)
    await db.call("own_email", sub="second", email=ANA)
    await admit(db)  # the next owner's own begins
    for number in late:
        assert (await store(db, number))["outcome"] == "superseded"
    assert await session(db) is None
    assert (await session(db, BEA) is not None) is signed_in


async def connect(db: Functions) -> None:
    await db.call("connect_session", user_email=ANA, token="pasted", cookies=[], fingerprint="browser")


async def test_a_pasted_session_forgets_the_password_and_supersedes_a_sign_in_under_way(db: Functions) -> None:
    await store(db, await ticket(db))
    late = await ticket(db)
    await connect(db)
    found = await session(db)
    assert found
    assert (found["account_email"], found["remembered"], await password(db)) == (None, False, None)
    assert (await store(db, late))["outcome"] == "superseded"
    found = await session(db)
    assert found
    assert found["token"] == "pasted"


async def test_a_first_session_that_is_pasted_supersedes_a_sign_in_under_way(db: Functions) -> None:
    late = await ticket(db)
    await connect(db)
    assert (await store(db, late))["outcome"] == "superseded"
    found = await session(db)
    assert found
    assert found["token"] == "pasted"


async def test_with_its_session_an_account_is_left_whoever_deletes_it(db: Functions) -> None:
    await store(db, await ticket(db))
    await db.connection.execute("delete from public.auth_sessions")
    assert await password(db) is None


async def test_an_account_goes_with_its_session_to_another_address(db: Functions) -> None:
    await admit(db, BEA)
    late = await ticket(db)
    await store(db, await ticket(db))
    print_before = (await session(db) or {})["fingerprint"]
    await db.connection.execute("update public.auth_sessions set user_email = $1", BEA)
    found = await session(db, BEA)
    assert found
    assert (found["account_email"], found["remembered"], found["fingerprint"]) == (GYM, True, print_before)
    assert (await password(db), await password(db, BEA)) == (None, "enc:" + str(late + 1))
    leased = await db.call(
        "lease_sign_in", user_email=BEA, token=None, lease=uuid4(), lease_seconds=9.0, attempt=uuid4()
    )
    assert (leased["outcome"], leased["sealed_for"]) == ("leased", ANA)
    assert (await store(db, late))["outcome"] == "superseded"
    assert await session(db) is None


async def test_a_device_that_goes_takes_no_account_along(db: Functions) -> None:
    await store(db, await ticket(db))
    await db.connection.execute(
        "insert into public.auth_sessions (user_email, aimharder_token, aimharder_cookies, fingerprint)"
        " values ($1, 'x', '[]', 'phone')",
        ANA,
    )
    await db.connection.execute("delete from public.auth_sessions where fingerprint = 'phone'")
    assert await password(db)


async def test_a_rotation_of_the_session_keeps_the_account(db: Functions) -> None:
    await store(db, await ticket(db))
    found = await session(db)
    assert found
    lease = uuid4()
    await db.call("lease_session", user_email=ANA, token=found["token"], lease=lease, lease_seconds=9)
    saved = await db.call("save_session", id=UUID(found["id"]), lease=lease, old_token=found["token"], new_token="new")
    assert (saved["outcome"], await password(db)) == ("saved", "enc:1")


async def test_signing_in_clears_the_warning(db: Functions) -> None:
    row = await db.create({"day": "20990305", "id": "1"}, NOW + seconds(600))
    await db.connection.execute("update public.prebookings set warning = '{}'")
    await store(db, await ticket(db))
    assert (await db.row(UUID(row["prebooking"]["id"])))["warning"] is None


# ---- encrypted anew


async def test_a_password_is_replaced_only_where_it_is_still_the_same(db: Functions) -> None:
    await store(db, await ticket(db))
    listed = await db.call("list_passwords_to_encrypt", key_id="12345678")
    assert (listed["left"], listed["passwords"]) == (1, [{"user_email": ANA, "sealed_for": ANA, "password": "enc:1"}])
    new = "enc:v1:12345678:x"
    for old, outcome in (("another", "changed"), ("enc:1", "replaced"), ("enc:1", "replaced")):
        assert (await db.call("replace_password", user_email=ANA, old=old, new=new))["outcome"] == outcome
    assert (await db.call("list_passwords_to_encrypt", key_id="12345678"))["left"] == 0
    await db.call("disconnect_session", user_email=ANA)
    assert (await db.call("replace_password", user_email=ANA, old=new, new="enc:2"))["outcome"] == "changed"


# ---- signed in again


async def lease(db: Functions, holder: UUID, known: str | None = "token-1", attempt: UUID | None = None) -> Answer:
    named = {"token": known, "lease": holder, "lease_seconds": 25.0, "attempt": attempt or uuid4()}
    return await db.call("lease_sign_in", user_email=ANA.title(), **named)


async def save(db: Functions, holder: UUID, generation: int, token: str = "again") -> Answer:
    new = {"token": token, "cookies": [{"name": "a", "value": "b"}]}
    return await db.call("save_sign_in_again", user_email=ANA, generation=generation, lease=holder, **new)


async def end(db: Functions, holder: UUID, generation: int, *, refused: bool) -> Answer:
    return await db.call("end_sign_in_again", user_email=ANA, generation=generation, lease=holder, refused=refused)


async def test_one_at_a_time_signs_in_again_with_all_that_it_takes(db: Functions) -> None:
    await store(db, await ticket(db))
    mine, attempt = uuid4(), uuid4()
    leased = await lease(db, mine, attempt=attempt)
    assert (leased["outcome"], leased["account_email"], leased["password"]) == ("leased", GYM, "enc:1")
    assert await lease(db, mine, attempt=attempt) == leased
    assert (await lease(db, uuid4()))["outcome"] == "busy"
    refresh = await db.call("lease_session", user_email=ANA, token="token-1", lease=uuid4(), lease_seconds=9.0)
    assert refresh["outcome"] == "busy"

    saved = await save(db, mine, leased["generation"])
    assert (saved["outcome"], saved["session"]["token"], saved["session"]["token_age_s"]) == ("saved", "again", 0)
    changed = await lease(db, uuid4())
    assert (changed["outcome"], changed["session"]["token"]) == ("changed", "again")
    assert await password(db) == "enc:1"
    late = await save(db, mine, leased["generation"], "late")
    assert (late["outcome"], late["session"]["token"]) == ("superseded", "again")


async def test_a_lease_that_ended_can_be_taken_over(db: Functions) -> None:
    await store(db, await ticket(db))
    await lease(db, uuid4())
    await db.at(NOW + seconds(25))
    assert (await lease(db, uuid4()))["outcome"] == "leased"


async def test_there_are_three_within_15_minutes_whatever_people_try(db: Functions) -> None:
    await store(db, await ticket(db))
    for _ in range(5):
        await admit(db, BEA)
    outcomes = []
    for _ in range(4):
        mine = uuid4()
        outcomes.append((await lease(db, mine))["outcome"])
        await end(db, mine, 1, refused=False)
    assert outcomes == ["leased"] * 3 + ["too_many"]
    await db.at(NOW + seconds(900))
    assert (await lease(db, uuid4()))["outcome"] == "leased"


async def test_a_refused_password_is_forgotten_and_known_to_have_been_refused(db: Functions) -> None:
    await store(db, await ticket(db))
    mine = uuid4()
    generation = (await lease(db, mine))["generation"]
    for _ in range(2):
        assert (await end(db, mine, generation, refused=True))["outcome"] == "ended"
    assert await password(db) is None
    assert (await lease(db, uuid4()))["outcome"] == "refused"
    found = await session(db)
    assert found
    assert (found["password_refused"], found["remembered"], found["account_email"]) == (True, False, GYM)
    await store(db, await ticket(db), password=None)
    assert (await lease(db, uuid4(), None))["outcome"] == "not_remembered"


async def test_what_is_newer_is_neither_forgotten_nor_replaced(db: Functions) -> None:
    await store(db, await ticket(db))
    mine = uuid4()
    generation = (await lease(db, mine))["generation"]
    newer = await ticket(db)
    await store(db, newer)
    for answer in (await end(db, mine, generation, refused=True), await save(db, mine, generation)):
        assert (answer["outcome"], answer["session"]["token"]) == ("superseded", f"token-{newer}")
    assert await password(db) == f"enc:{newer}"


async def test_after_a_disconnect_nothing_is_brought_back(db: Functions) -> None:
    await store(db, await ticket(db))
    mine = uuid4()
    generation = (await lease(db, mine))["generation"]
    await db.call("disconnect_session", user_email=ANA)
    assert await save(db, mine, generation) == {"outcome": "superseded", "session": None}
    assert await lease(db, uuid4()) == {"outcome": "no_session", "session": None}


async def test_of_thirty_at_once_one_signs_in_again(many: Many) -> None:
    tabs = await many(30)
    await store(tabs[0], await ticket(tabs[0]))
    answers = await asyncio.gather(*(lease(tab, uuid4()) for tab in tabs))
    assert Counter(answer["outcome"] for answer in answers) == {"leased": 1, "busy": 29}


async def test_a_look_of_an_earlier_version_is_noted_as_ever(db: Functions) -> None:
    row = await db.create({"day": "20990305", "id": "1"}, NOW + seconds(600))
    row_id = UUID(row["prebooking"]["id"])
    look = {"prebooking_ids": [row_id], "alive": False, "session": "x", "message": "Gone."}
    for reason, notices in (({}, 1), ({}, 1), ({"reason": "password_refused"}, 2), ({"reason": "password_refused"}, 2)):
        await db.call("note_session_look", **look, **reason)
        warning = (await db.row(row_id))["warning"]
        assert {name: warning.get(name) for name in ("code", "message")} == {
            "code": "session_expired",
            "message": "Gone.",
        }
        assert warning.get("reason") == reason.get("reason")
        assert await db.connection.fetchval("select count(*) from prebooking.notices") == notices
