"""Which class of a day's listing is meant, and whether the user is in it: nothing unknown is taken for equal."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from prebooking.adapters.aimharder.answers import read_listing
from prebooking.domain.class_match import BegunClass, WantedClass, wanted_by
from prebooking.domain.classes import ListedClass, Listing
from prebooking.domain.prebooking import Prebooking, Status
from prebooking.domain.standing import NotFound, standing_in
from prebooking.domain.target import Target
from prebooking.domain.wished_class import WishedClass, plain_name

IDS = st.sampled_from(["1", "2", "3", "4"])
HOURS = st.sampled_from(["08:00", "18:00", None])
NAMES = st.sampled_from(["CrossFit", "crossfit ", "CROSSFÍT", "Yoga", "", None])
LISTED = st.builds(
    ListedClass,
    book_state=st.sampled_from([None, None, None, 0, 1]),
    reservation_id=st.none(),
    cancelled=st.booleans(),
    hour=HOURS,
    standing_known=st.booleans(),
    name=NAMES,
)
LISTINGS = st.builds(Listing, st.dictionaries(IDS, LISTED), complete=st.booleans())
WANTED = st.builds(
    WantedClass,
    id=st.one_of(st.none(), IDS),
    starts=HOURS,
    name=st.sampled_from([None, "crossfit", "yoga"]),
)


FREE = ListedClass(None, None, cancelled=False, hour="18:00", name="CrossFit")
MINE = replace(FREE, book_state=1)


def fits(wanted: WantedClass, listed: ListedClass) -> bool:
    same_name = wanted.name is None or plain_name(listed.name) == wanted.name
    return wanted.starts is not None and listed.hour == wanted.starts and same_name


@given(WANTED, LISTINGS)
def test_a_listed_id_is_the_class_whatever_else_is_listed(wanted: WantedClass, listing: Listing) -> None:
    if wanted.id is not None and wanted.id in listing and not listing[wanted.id].cancelled:
        assert wanted.found_in(listing) == wanted.id


@given(WANTED, LISTINGS)
def test_one_that_is_cancelled_is_found_again_by_its_hour_and_a_name_that_is_known(
    wanted: WantedClass, listing: Listing
) -> None:
    if wanted.id is None or wanted.id not in listing or not listing[wanted.id].cancelled:
        return
    again = replace(wanted, name=wanted.name or plain_name(listing[wanted.id].name))
    fitting = [class_id for class_id, other in listing.items() if fits(again, other) and not other.cancelled]
    known = again.name is not None and len(fitting) == 1
    assert wanted.found_in(listing) == (fitting[0] if known else wanted.id)


@given(WANTED, LISTINGS)
def test_without_it_the_class_is_the_only_one_of_that_hour_and_name(wanted: WantedClass, listing: Listing) -> None:
    found = wanted.found_in(listing)
    if wanted.id not in listing:
        fitting = [class_id for class_id, listed in listing.items() if fits(wanted, listed) and not listed.cancelled]
        assert found == (fitting[0] if len(fitting) == 1 else None)


@given(WANTED, LISTINGS, st.randoms())
def test_the_order_of_a_listing_decides_nothing(wanted: WantedClass, listing: Listing, random: Any) -> None:
    ids = list(listing)
    random.shuffle(ids)
    shuffled = Listing({class_id: listing[class_id] for class_id in ids}, complete=listing.complete)
    assert wanted.found_in(shuffled) == wanted.found_in(listing)


@given(st.one_of(st.none(), IDS), st.sampled_from([None, "crossfit"]), LISTINGS)
def test_an_unknown_hour_equals_no_other(class_id: str | None, name: str | None, listing: Listing) -> None:
    wanted = WantedClass(id=class_id, starts=None, name=name)
    assert wanted.found_in(listing) in (None, class_id)
    assert not list(wanted.of_that_hour(listing))


@given(WANTED, st.lists(LISTINGS, max_size=4))
def test_what_is_sent_is_listed_or_the_wished_id_while_no_other_class_is(
    wanted: WantedClass, listings: list[Listing]
) -> None:
    target = Target(wanted=wanted, class_id=wanted.id)
    for listing in listings:
        target.look(listing)
        if target.may_be_sent and target.found is None:
            assert target.class_id == wanted.id is not None
            assert not listing or not listing.complete
        if listing and listing.complete and wanted.found_in(listing) is None and target.found is None:
            assert not target.may_be_sent
        if (found := wanted.found_in(listing)) is not None and not listing[found].cancelled:
            assert (target.class_id, target.found) == (found, listing[found])
            assert set(target.learnt()["beside"]) == set(listing) - {found}


@given(wanted=WANTED, listing=LISTINGS, sent=st.one_of(st.none(), IDS), certain=st.booleans())
def test_present_is_a_class_that_has_the_user_and_was_sent_or_has_its_hour_and_name(
    wanted: WantedClass, listing: Listing, sent: str | None, *, certain: bool
) -> None:
    standing = standing_in(listing, wanted, sent, certain=certain)
    if isinstance(standing, str):
        assert listing[standing].book_state is not None
        hour = wanted.starts or (listing[sent].hour if sent and sent in listing else None)
        alone = (not certain or sent is None) and standing == wanted.found_in(listing)
        of_that_hour = fits(WantedClass(id=None, starts=hour, name=wanted.name), listing[standing])
        assert standing == sent or alone or of_that_hour
        assert standing == sent or alone or wanted.id is None or wanted.name is not None


@given(wanted=WANTED, listing=LISTINGS, sent=st.one_of(st.none(), IDS), certain=st.booleans())
def test_absent_is_known_of_what_was_sent_or_of_the_whole_hour(
    wanted: WantedClass, listing: Listing, sent: str | None, *, certain: bool
) -> None:
    standing = standing_in(listing, wanted, sent, certain=certain)
    if standing in (NotFound.ABSENT, NotFound.ELSEWHERE):
        assert listing
        if certain and sent and sent in listing:
            assert listing[sent].standing_known
            assert listing[sent].book_state is None
        else:
            assert standing is NotFound.ABSENT
            assert listing.complete
            hour = wanted.starts or (listing[sent].hour if sent and sent in listing else None)
            assert hour is not None
            perhaps = [listed for listed in listing.values() if listed.hour in (None, hour)]
            assert all(listed.standing_known and listed.book_state is None for listed in perhaps)
            if certain and sent is not None:  # a listing without the class says nothing, but it is there anew
                assert wanted.found_in(listing) is not None


def test_an_id_that_is_gone_says_nothing_unless_the_class_is_there_anew() -> None:
    wanted = WantedClass(id="1", starts="18:00", name="crossfit")
    other = Listing({"2": replace(FREE, hour="08:00", name="Yoga")})
    assert standing_in(other, wanted, "1", certain=True) is NotFound.UNKNOWN
    assert standing_in(other, wanted, "1", certain=False) is NotFound.ABSENT
    anew = Listing({**other, "3": FREE})
    assert standing_in(anew, wanted, "1", certain=True) is NotFound.ABSENT


def test_the_only_class_of_the_hour_that_an_unlisted_id_may_have_been_sent_as_is_the_booking() -> None:
    wanted = WantedClass(id="501", starts="18:00", name=None)
    assert standing_in(Listing({"777": MINE}), wanted, "501", certain=False) == "777"
    assert standing_in(Listing({"777": MINE}), wanted, "501", certain=True) is NotFound.UNKNOWN
    beside = replace(FREE, name="Yoga")
    assert standing_in(Listing({"777": MINE, "778": beside}), wanted, "501", certain=False) is NotFound.UNKNOWN


def test_what_was_certainly_sent_is_looked_up_by_its_id() -> None:
    wanted = WantedClass(id="501", starts="18:00", name=None)
    assert standing_in(Listing({"501": MINE}), wanted, "501", certain=True) == "501"
    assert standing_in(Listing({"501": FREE}), wanted, "501", certain=True) is NotFound.ABSENT
    assert standing_in(Listing({"501": FREE, "777": MINE}), wanted, "501", certain=True) is NotFound.ELSEWHERE
    no_hours = Listing({"501": replace(FREE, hour=None), "777": replace(MINE, hour=None)})
    assert standing_in(no_hours, wanted, "501", certain=True) is NotFound.ABSENT


def test_of_several_classes_with_that_hour_and_name_the_one_that_has_the_user_is_the_booking() -> None:
    wanted = WantedClass(id="501", starts="18:00", name="crossfit")
    assert standing_in(Listing({"777": FREE, "778": MINE}), wanted, "501", certain=False) == "778"


def test_an_hour_that_is_not_known_is_that_of_the_id_that_may_have_been_sent() -> None:
    wanted = WantedClass(id="501", starts=None, name=None)
    assert standing_in(Listing({"501": FREE}), wanted, "501", certain=False) is NotFound.ABSENT


def test_a_name_that_is_not_known_is_that_of_the_class_that_was_cancelled() -> None:
    wanted = WantedClass(id="501", starts="18:00", name=None)
    yoga = replace(FREE, name="Yoga")
    assert wanted.found_in(Listing({"501": replace(FREE, cancelled=True), "777": FREE, "778": yoga})) == "777"


def test_a_target_is_what_the_last_listing_showed_until_the_gym_answers_for_another_id() -> None:
    target = Target(wanted=WantedClass(id="501", starts="18:00", name=None), class_id="501")
    assert target.may_be_sent  # no listing was read
    empty = []
    for listing in (Listing(), Listing({"777": FREE})):
        target.look(listing)
        empty.append(target.day_is_empty)
    assert empty == [True, False]
    target.answered_for("777")
    assert (target.class_id, target.found) == ("777", FREE)
    target.answered_for("501")
    assert (target.class_id, target.found, target.learnt()) == ("501", None, {})


def row(class_: WishedClass | None = None, **data: Any) -> Prebooking:
    now = datetime(2026, 11, 28, tzinfo=UTC)
    return Prebooking(
        id=UUID(int=1), user_email="ana@example.com", status=Status.PENDING, version=1, attempts=0, available_at=now,
        box_subdomain="mygym", box_aimharder_id="7", booking_data={"day": "20261128"} | data, class_=class_,
        created_at=now, updated_at=now,
    )  # fmt: skip


START = datetime(2026, 11, 28, 17, tzinfo=UTC)


def test_hour_and_name_are_those_of_the_class_else_of_the_start_and_the_activity_else_as_last_seen() -> None:
    seen = BegunClass(id="7", starts="07:00", name="Open Box")
    told = WishedClass(starts="20:00", name="Open  Box")
    of_class = wanted_by(row(told, id=7, activityName="WOD"), START, "Europe/Madrid", seen)
    assert of_class == WantedClass(id="7", starts="20:00", name="open box")
    assert wanted_by(row(WishedClass(starts="20:00"), activityName="WOD"), START, None).name is None
    of_start = wanted_by(row(id="7", activityName="WÓD"), START, "Atlantic/Canary", seen)
    assert of_start == WantedClass(id="7", starts="17:00", name="wod")
    assert wanted_by(row(id="7"), START, None).starts == "18:00"  # as in most gyms
    assert wanted_by(row(id="7"), None, "Europe/Madrid", seen) == WantedClass(id="7", starts="07:00", name="open box")
    assert wanted_by(row(id="7", activityName=5), None, None) == WantedClass(id="7", starts=None, name=None)


def test_the_name_in_a_listing_is_read_without_what_php_writes_for_html() -> None:
    rows = [{"id": 1, "className": "Cross &amp; Fit ", "time": "08:00"}, {"id": 2, "className": None}, {"id": 3}]
    listing = read_listing(json.loads(json.dumps({"bookings": rows})))
    assert [listed.name for listed in listing.values()] == ["Cross & Fit", None, None]
