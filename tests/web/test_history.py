"""GET /prebookings/{id}/history: what happened to one's own prebooking."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

from tests.support.world import World

ANA = "ana@example.com"


async def history(world: World, row: dict[str, Any]) -> list[dict[str, Any]]:
    answer = await world.http.get(f"/prebookings/{row['id']}/history", headers=world.speaking_for(ANA))
    assert (answer.status_code, set(answer.json())) == (200, {"events"}), answer.text
    events: list[dict[str, Any]] = answer.json()["events"]
    return events


async def test_a_booking_is_told_with_its_replica_its_message_and_its_milliseconds(world: World) -> None:
    await world.member(ANA)
    row = await world.prebook(ANA, world.open_class())
    await world.finished(ANA, row["id"])

    events = await history(world, row)
    by_name = {event["event"]: event for event in events}
    assert [event["event"] for event in events if event["event"] != "message_ordered"] == [
        *("created", "claimed", "begun", "finished")
    ]
    assert by_name["message_ordered"]["message_id"].startswith("msg")
    assert (by_name["finished"]["reason"], by_name["finished"]["attempt"]) == ("booked", 1)
    assert by_name["finished"]["took_ms"] > by_name["begun"]["took_ms"] > 0
    assert [event["at"] for event in events] == sorted(event["at"] for event in events)
    (replica,) = {event["replica"] for event in events}
    assert len(replica) == 6
    assert int(replica, 16) >= 0


async def test_anothers_history_looks_like_a_missing_one(world: World) -> None:
    row = await world.prebook(ANA, datetime.now(UTC) + timedelta(hours=5))
    for prebooking_id in (row["id"], uuid4(), "1"):
        path = f"/prebookings/{prebooking_id}/history"
        answer = await world.http.get(path, headers=world.speaking_for("bo@example.com"))
        assert (answer.status_code, answer.json()["code"]) == (404, "not-found")
