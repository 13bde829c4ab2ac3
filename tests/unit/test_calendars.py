"""Reading calendars: bounded for each and for strangers, asked for by well-formed secrets alone, holding up nothing."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import uuid4

import pytest
from tests.support.fake_clock import FakeClock

from prebooking.domain.calendars import CalendarEntry
from prebooking.domain.errors import TooOftenError
from prebooking.domain.opening_clock import OpeningClock
from prebooking.domain.prebooking import Status
from prebooking.usecases.booking.gate import Gate
from prebooking.usecases.calendars import Calendars

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ENTRY = CalendarEntry(
    id=uuid4(),
    status=Status.PENDING,
    outcome=None,
    given_back=False,
    day="20261126",
    starts_at=None,
    minutes=None,
    opens_at=None,
    time_zone=None,
    name=None,
    gym=None,
    created_at=NOW,
    updated_at=NOW,
)


class Store:
    """Calendars by the hashes of their secrets."""

    def __init__(self) -> None:
        self.hashes: dict[str, str] = {}
        self.entries = [ENTRY]
        self.asked = 0

    async def make_calendar(self, user_email: str, secret_hash: str, *, sub: str | None) -> bool:
        self.hashes[user_email] = secret_hash
        return sub != "another"

    async def end_calendar(self, user_email: str) -> None:
        self.hashes.pop(user_email, None)

    async def read_calendar(self, secret_hash: str) -> Sequence[CalendarEntry] | None:
        self.asked += 1
        return self.entries if secret_hash in self.hashes.values() else None


class File:
    """Notes what was done when."""

    head, end = b"<", b">"

    def __init__(self) -> None:
        self.done: list[str] = []

    def event(self, entry: CalendarEntry) -> bytes:
        self.done.append("event")
        return entry.status.value.encode()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def store() -> Store:
    return Store()


@pytest.fixture
def file() -> File:
    return File()


@pytest.fixture
def calendars(clock: FakeClock, store: Store, file: File) -> Calendars:
    gate = Gate(OpeningClock(clock))
    return Calendars(store, lambda: file, gate, clock, public_url="https://x.example/base")


async def made(calendars: Calendars, user: str = "ana@example.com") -> str:
    """The secret."""
    url = await calendars.make(user, None)
    head, _, name = url.rpartition("/")
    assert (head, name[40:]) == ("https://x.example/base/calendar", ".ics")
    return name[:40]


async def test_each_address_has_a_secret_of_its_own_of_which_the_store_learns_the_hash(
    calendars: Calendars, store: Store
) -> None:
    first, second = await made(calendars), await made(calendars)
    assert first != second
    assert await calendars.read(first) is None
    assert await calendars.read(second) == b"<pending>"
    assert second not in str(store.hashes)


@pytest.mark.parametrize(
    "secret", ["", "x", "0" * 39, "0" * 41, "A" * 40, "g" * 40, "\u0660" * 40, f"{'0' * 40}\n", "../x"]
)
async def test_what_is_no_secret_by_its_form_is_not_asked_for(calendars: Calendars, store: Store, secret: str) -> None:
    assert await calendars.read(secret) is None
    assert store.asked == 0


async def test_one_calendar_is_read_so_often_in_a_minute_and_then_again(calendars: Calendars, clock: FakeClock) -> None:
    secret, others = await made(calendars), await made(calendars, "bo@example.com")
    for _ in range(12):
        assert await calendars.read(secret)
    with pytest.raises(TooOftenError) as refused:
        await calendars.read(secret)
    assert 59 < refused.value.retry_after <= 60
    assert await calendars.read(others)
    clock.true_time += 60
    assert await calendars.read(secret)


async def test_guessing_asks_the_store_so_often_and_keeps_nobody_from_a_calendar_that_was_read(
    calendars: Calendars, store: Store
) -> None:
    secret = await made(calendars)
    assert await calendars.read(secret)
    for n in range(119):
        assert await calendars.read(f"{n:040x}") is None
    with pytest.raises(TooOftenError):
        await calendars.read("f" * 40)
    assert store.asked == 120
    assert await calendars.read(secret)


async def test_a_user_makes_so_many_addresses_in_a_minute(calendars: Calendars) -> None:
    for _ in range(10):
        await made(calendars)
    with pytest.raises(TooOftenError):
        await made(calendars)
    await made(calendars, "bo@example.com")


async def test_other_work_has_its_turn_between_any_two_events(calendars: Calendars, store: Store, file: File) -> None:
    secret = await made(calendars)
    store.entries = [ENTRY] * 5
    reading = asyncio.create_task(calendars.read(secret))
    while not reading.done():
        file.done.append("turn")
        await asyncio.sleep(0)
    assert "event event" not in " ".join(file.done)
    assert file.done.count("event") == 5


async def test_no_event_is_written_in_the_last_moments_before_an_opening(
    store: Store, file: File, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    opened = asyncio.Event()
    gate = Gate(OpeningClock(clock))
    monkeypatch.setattr(gate, "quiet", opened.wait)
    calendars = Calendars(store, lambda: file, gate, clock, public_url="https://x.example/base")
    reading = asyncio.create_task(calendars.read(await made(calendars)))
    for _ in range(20):
        await asyncio.sleep(0)
    assert file.done == []
    opened.set()
    assert await reading == b"<pending>"


async def test_the_format_is_loaded_once_and_in_no_seconds_before_an_opening(
    store: Store, file: File, monkeypatch: pytest.MonkeyPatch, clock: FakeClock
) -> None:
    opened, loaded = asyncio.Event(), list[File]()
    gate = Gate(OpeningClock(clock))
    monkeypatch.setattr(gate, "calm", opened.wait)

    def load() -> File:
        loaded.append(file)
        return file

    calendars = Calendars(store, load, gate, clock, public_url="https://x.example/base")
    secret = await made(calendars)
    reading = asyncio.create_task(calendars.read(secret))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not loaded
    opened.set()
    assert await reading == await calendars.read(secret) == b"<pending>"
    assert loaded == [file]
