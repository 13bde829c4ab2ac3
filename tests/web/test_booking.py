"""The main job: created over HTTP, rung by QStash, booked at the gym exactly once, the result told."""

from tests.support.world import World

ANA = "ana@example.com"


async def test_a_prebooking_is_booked_at_its_opening_and_its_result_told(world: World) -> None:
    await world.member(ANA)
    opens_at = world.open_class(2.5)

    created = await world.prebook(ANA, opens_at)
    assert created["status"] == "pending"
    assert created["qstash_schedule_id"]

    row = await world.finished(ANA, created["id"])
    assert row["status"] == "completed"
    assert row["result"]["success"] is True
    assert row["result"]["outcome"] == "booked"
    assert 0 <= row["result"]["timings"]["fire_lateness_ms"] < 500
    assert world.booking_requests(ANA) == world.bookings(ANA) == 1


async def test_two_of_a_family_are_both_booked_into_the_same_class(world: World) -> None:
    await world.member(ANA, family=[{"id": "77", "name": "Leo"}])
    opens_at = world.open_class(1.5)
    rows = [await world.prebook(ANA, opens_at, familyId=family_id) for family_id in ("", "77")]

    for row in rows:
        assert (await world.finished(ANA, row["id"]))["result"]["outcome"] == "booked"
    assert sorted(booking["family_id"] for booking in world.gym.site.bookings()) == ["", "77"]
