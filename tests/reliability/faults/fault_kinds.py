"""The faults that a schedule draws from: of the gym, the database and QStash, drawn from the seed.

What is outside stays outside (see campaign.md): a request is carried out at most 6 s after its arrival, a listing is
at most 4 s old, a rotation is answered within 7 s or never, and only in the gym that refuses the same hour twice.
"""

from random import Random
from typing import Any

from tests.reliability.faults.plan import STRICT

MANY = 1_000_000
BOOK, LISTING, WHOAMI, REFRESH = "/api/book", "/api/bookings", "/api/whoami", "/api/tokenUpdate"
LOGIN = "/api/login"
_ROTATED_WITHIN_S = 7.0
_FUNCTIONS = (
    *("create_prebooking", "attach_message", "cancel_prebooking", "reschedule_prebooking", "retry_prebooking"),
    *("note_delivery_failure", "list_prebookings", "claim_prebooking", "begin_booking", "finish_booking"),
    *("release_prebooking", "park_prebooking", "sweep_prebookings", "lease_session", "save_session"),
    *("admit_sign_in", "store_sign_in", "lease_sign_in", "save_sign_in_again", "end_sign_in_again"),
)


def gym_fault(rng: Random) -> tuple[str, dict[str, Any]]:
    """How often each comes is for most bookings to have a chance."""
    path = rng.choices((BOOK, LISTING, WHOAMI, REFRESH, LOGIN, None), (10, 4, 3, 2, 2, 2))[0]
    longest_s = _ROTATED_WITHIN_S if path in (REFRESH, LOGIN, None) else 30
    done = {"handled": rng.random() < 0.7}
    kinds: list[tuple[str, int, dict[str, Any]]] = [
        (
            "slow",
            4,
            {"kind": "slow", "path": path, "seconds": rng.choice((rng.uniform(0.3, 3), rng.uniform(3, longest_s)))},
        ),
        ("hang", 2, {"kind": "hang", "path": path} | done),
        ("reset", 3, {"kind": "reset", "path": path} | done),
        ("truncated", 3, {"kind": "truncated", "path": path} | done),
        ("error page", 4, {"kind": "status", "path": path, "status": rng.choice((500, 502, 503, 504))} | done),
        ("login page", 2, {"kind": "login_page", "path": path} | done),
        ("blocked", 2, {"kind": "status", "path": path, "status": rng.choice((403, 429))}),
        ("too early", 2, {"kind": "clock", "path": BOOK, "seconds": -rng.uniform(0.2, 2)}),
        ("stale", 3, {"kind": "stale", "path": LISTING, "seconds": rng.uniform(0.5, 4), "box": STRICT["slug"]}),
        ("late", 3, {"kind": "late", "path": BOOK, "seconds": rng.uniform(0.5, 6)}),
        ("logout", 2, {"kind": "logout", "path": rng.choice((WHOAMI, WHOAMI, BOOK))}),
        ("idle", 2, {"kind": "idle_timeout_s", "seconds": rng.uniform(0.3, 3)}),
        ("idle, unsaid", 1, {"kind": "idle_drop_s", "seconds": rng.uniform(0.3, 3)}),
        ("refuse", 2, {"kind": "refuse", "seconds": rng.uniform(0.3, 3)}),
    ]
    kind, _, fault = rng.choices(kinds, [weight for _, weight, _ in kinds])[0]
    return kind, fault


def slow_rotations(rng: Random) -> dict[str, Any]:
    """The gym rotates at once and says so late."""
    return {"kind": "slow", "path": REFRESH, "seconds": rng.uniform(1, _ROTATED_WITHIN_S)}


def silent_account_host() -> list[dict[str, Any]]:
    """Nothing is carried out there, and nothing is answered."""
    return [{"kind": "hang", "path": path, "handled": False} for path in (WHOAMI, REFRESH)]


def slow_names(rng: Random) -> tuple[str, float]:
    """What becomes of names, and by how many seconds their answers are late."""
    return rng.choice((("names slow", rng.uniform(0.2, 3.0)), ("names silent", 0.0)))


def database_faults(rng: Random) -> tuple[str, float, list[dict[str, Any]]]:
    """What it is, for how many seconds, and the faults.

    Mostly of a few calls of some functions, now and then of all calls for a moment; seldom the database is away.
    """
    dice, seconds = rng.random(), rng.uniform(0.3, 2.5)
    if dice < 0.05:
        return "away", rng.uniform(5, 30), [{"kind": rng.choice(("drop", "unavailable")), "times": MANY}]
    if dice < 0.75:
        drops = [
            {
                "kind": rng.choice(("lose_answer", "lose_answer", "drop", "unavailable", "blank", "delay")),
                "function": rng.choice(_FUNCTIONS),
                "times": rng.randint(1, 8),
                "seconds": rng.choice((0, 0, rng.uniform(0.1, 2))),
            }
            for _ in range(25)
        ]
        return "some calls", seconds, drops
    kind = rng.choice(("lose_answer", "drop", "unavailable", "delay"))
    return f"all calls: {kind}", seconds, [{"kind": kind, "times": MANY, "seconds": 1.5 if kind == "delay" else 0}]


def qstash_faults(rng: Random) -> tuple[str, dict[str, Any]]:
    """Down, or a mixture: messages shifted and doubled and lost, and an API that fails in all ways."""
    if rng.random() < 0.3:
        return "down", {"down": {"value": True}}
    values = {
        "copies": (rng.randint(2, 3), 0.4),
        "lost": (True, 0.3),
        "shift_s": (rng.uniform(-6, 3), 0.5),
        "ahead": (True, 0.5),
        "api_status": (rng.choice((429, 500)), 0.4),
        "api_answer_lost": (True, 0.4),
        "api_refused": (True, 0.3),
        "api_hangs": (True, 0.2),
    }
    chosen = rng.sample(list(values), 2)
    return " and ".join(chosen), {
        name: {"value": values[name][0], "probability": values[name][1], "next": MANY, "seed": rng.randrange(10**6)}
        | ({"on": rng.choice(("publish", "any"))} if name.startswith("api_") else {})
        for name in chosen
    }
