"""What a campaign holds against sign-ins, and how it finds a password."""

import base64
from typing import Any

import pytest
from tests.reliability.faults.canaries import Canaries
from tests.reliability.faults.counted import Try, forgotten, too_many, uncounted

ANA = "ana@example.com"


def login(at: float, member: str = ANA) -> dict[str, Any]:
    return {"path": "/api/login", "member": member, "first_byte_ns": int(at * 1e9)}


def test_each_login_needs_a_try_that_was_counted_before() -> None:
    tries = [Try(ANA, own=False, at=10), Try(ANA, own=True, at=20)]
    assert list(uncounted([login(11), login(21, ANA.title())], tries)) == []
    assert len(list(uncounted([login(9), login(21)], tries))) == 1
    assert len(list(uncounted([login(11), login(21), login(22)], tries))) == 1
    assert len(list(uncounted([login(11, "eva@example.com")], tries))) == 1


def test_a_try_that_never_reached_the_gym_is_nothing_wrong() -> None:
    assert list(uncounted([], [Try(ANA, own=True, at=10)])) == []


def test_the_service_has_three_tries_of_its_own_within_15_minutes() -> None:
    times = [0.0, 10.0, 20.0]
    assert list(too_many([Try(ANA, own=True, at=at) for at in times])) == []
    assert list(too_many([Try(ANA, own=True, at=at) for at in (*times, 901.0)])) == []
    assert len(list(too_many([Try(ANA, own=True, at=at) for at in (*times, 30.0)]))) == 1
    assert list(too_many([Try(ANA, own=False, at=at) for at in (*times, 30.0)])) == []


def test_a_right_password_that_is_remembered_stays_so() -> None:
    assert list(forgotten({ANA: True}, [ANA])) == []
    assert len(list(forgotten({ANA: False}, [ANA]))) == 1
    assert len(list(forgotten({}, [ANA]))) == 1


@pytest.mark.parametrize("before", ["", "a", "ab", "abc", '{"password": "'])
def test_a_password_is_found_as_it_is_and_within_base64(before: str) -> None:
    text = before + "canary0123456789abcdef and more"
    for sent in (text, base64.b64encode(text.encode()).decode()):
        canaries = Canaries("canary0123456789abcdef")
        canaries.look("a place", f"…{sent}…")
        assert canaries.found == {"a place": 1}


def test_other_texts_hold_none() -> None:
    canaries = Canaries("canary0123456789abcdef")
    canaries.look("a place", "canary and 0123456789abcdef " + base64.b64encode(b"canary of another kind").decode())
    assert not canaries.found
