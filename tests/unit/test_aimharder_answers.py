"""What AimHarder's answers are taken to mean; every one that is known, and whatever else may come."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prebooking.adapters.aimharder.answers import read_listing, read_new_token, read_reply, read_whoami
from prebooking.domain.outcome import Outcome, Reply, ReplyKind

CONTRACTED = {"clasesContratadas": "BARBELL WOD, CROSSFIT", "hasPublicMemberships": 1}
DAYS = "ERROR_ANTELACION_CLIENTE"
HOURS = "ERROR_ANTELACION_CLIENTE_HORAS"
SAME_HOUR = "NOPUEDESRESERVAMISMAHORA"


def said(*, status: int = 200, **fields: Any) -> Reply:
    return read_reply(status, json.dumps(CONTRACTED | fields).encode())


def refusal(key: str = "", text: str = "") -> Reply:
    return said(bookState=-12, errorMssg=text, errorMssgLang=key)


def test_booked_is_bookstate_1_and_an_id() -> None:
    reply = said(bookState=1, id="106015104")
    assert (reply.kind, reply.outcome) == (ReplyKind.BOOKED, Outcome.BOOKED)
    assert (reply.booking_id, reply.book_state) == ("106015104", 1)


def test_a_number_for_the_booking_id_is_kept_as_a_string() -> None:
    assert said(bookState=1, id=106015104).booking_id == "106015104"


def test_bookstate_0_and_an_id_is_booked_or_waiting_the_listing_tells() -> None:
    reply = said(bookState=0, id="7")
    assert (reply.kind, reply.outcome, reply.booking_id) == (ReplyKind.ON_A_LIST, None, "7")


@pytest.mark.parametrize("state", [1, 0])
@pytest.mark.parametrize("no_id", [None, "", 0])
def test_without_an_id_no_bookstate_is_a_success(state: int, no_id: Any) -> None:
    assert said(bookState=state, id=no_id).kind is ReplyKind.NOTHING_SAID


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        (-1, Outcome.CLASS_FULL),
        (-2, Outcome.NO_CREDIT),
        (-5, Outcome.UNPAID),
        (-7, Outcome.TOO_LATE),
        (-8, Outcome.DAILY_LIMIT),
        (-9, Outcome.LIMIT_REACHED),
        (-3, Outcome.REFUSED),
        (-99, Outcome.REFUSED),
        (2, Outcome.REFUSED),
    ],
)
def test_each_refusal_has_its_outcome_and_an_unknown_one_is_refused(state: int, outcome: Outcome) -> None:
    reply = said(bookState=state)
    assert (reply.kind, reply.outcome, reply.book_state) == (ReplyKind.REFUSED, outcome, state)


def test_a_bookstate_written_as_a_string_means_the_same() -> None:
    assert said(bookState="-1").outcome is Outcome.CLASS_FULL
    assert said(bookState="1", id="7").kind is ReplyKind.BOOKED


def test_true_is_not_the_bookstate_1() -> None:
    assert said(bookState=True, id="7").kind is ReplyKind.NOTHING_SAID


def test_the_daily_limit_has_a_maximum_and_no_text() -> None:
    reply = said(bookState=-8, max=2)
    assert (reply.outcome, reply.detail) == (Outcome.DAILY_LIMIT, "")


@pytest.mark.parametrize("reply", [said(bookState=-4), refusal(DAYS, "x"), refusal(HOURS, "x"), refusal(DAYS)])
def test_too_early_is_minus_4_or_one_of_two_keys(reply: Reply) -> None:
    assert (reply.kind, reply.outcome) == (ReplyKind.TOO_EARLY, Outcome.TOO_EARLY)


@pytest.mark.parametrize(
    "text",
    [
        "No puedes reservar clases con más de 4 días de antelación",
        "No pots reservar classes amb més de 4 dies d'antelació",
        "You can't book classes with more than 4 days of anticipation",
        "NO PUEDES RESERVAR CLASES CON MÁS DE 48 HORAS DE ANTELACIÓN",
    ],
)
def test_without_a_key_the_text_tells_too_early_in_each_language(text: str) -> None:
    assert refusal(text=text).kind is ReplyKind.TOO_EARLY


@pytest.mark.parametrize(
    "reply",
    [
        refusal(SAME_HOUR, "No puedes hacer más de una reserva a la misma hora"),
        refusal(SAME_HOUR),
        refusal(text="No puedes hacer más de una reserva a la misma hora"),
        refusal(text="No pots fer més d'una reserva a la mateixa hora"),
    ],
)
def test_the_same_hour_is_ours_or_another_class(reply: Reply) -> None:
    assert (reply.kind, reply.outcome) == (ReplyKind.SAME_HOUR, Outcome.TIME_CLASH)


@pytest.mark.parametrize("key", [SAME_HOUR, "HASSUPERADOLIMITCONTR", "ALGO_NUEVO"])
def test_a_key_decides_against_whatever_the_text_seems_to_say(key: str) -> None:
    assert refusal(key, "No puedes reservar con tanta antelación").kind is not ReplyKind.TOO_EARLY


def test_the_contracted_limit_is_a_limit() -> None:
    assert refusal("HASSUPERADOLIMITCONTR", "x").outcome is Outcome.LIMIT_REACHED


def test_an_unknown_key_is_refused_with_the_words_of_the_box_or_the_key() -> None:
    assert (refusal("ALGO_NUEVO", "Hoy no").outcome, refusal("ALGO_NUEVO", "Hoy no").detail) == ("refused", "Hoy no")
    assert refusal("ALGO_NUEVO").detail == "ALGO_NUEVO"


@pytest.mark.parametrize("name", ["errorMssg", "errorMsg", "error", "message"])
def test_a_text_alone_is_refused_with_its_words_without_their_html(name: str) -> None:
    text: dict[str, Any] = {name: "<b>No ha sido posible</b> realizar<br/>la  reserva"}
    reply = said(**text)
    assert (reply.kind, reply.outcome) == (ReplyKind.REFUSED, Outcome.REFUSED)
    assert reply.detail == "No ha sido posible realizar la reserva"


def test_words_are_kept_to_a_length_that_fits_a_message() -> None:
    assert len(said(errorMssg="palabras " * 1000).detail) == 300


@pytest.mark.parametrize("more", [{}, {"bookState": 1, "id": "7"}, {"bookState": -12, "errorMssgLang": DAYS}])
def test_logout_is_looked_at_before_all_else(more: dict[str, Any]) -> None:
    assert said(logout=1, **more).kind is ReplyKind.LOGGED_OUT


@pytest.mark.parametrize("status", [403, 429])
def test_403_and_429_are_a_block(status: int) -> None:
    reply = read_reply(status, b"<h1>Your IP has been blocked</h1>")
    assert (reply.kind, reply.outcome, reply.detail) == (ReplyKind.BLOCKED, Outcome.BLOCKED, f"HTTP {status}")


@pytest.mark.parametrize("status", [502, 504])
def test_behind_a_gateway_that_waited_no_longer_the_request_may_still_be_under_way(status: int) -> None:
    assert read_reply(status, b"").kind is ReplyKind.NO_ANSWER


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308, 404, 410])
def test_a_redirect_or_404_is_no_statement_and_tells_the_host_that_it_names(status: int) -> None:
    reply = read_reply(status, b'{"bookState": 1, "id": "7"}', "login.aimharder.com")
    assert (reply.kind, reply.detail) == (ReplyKind.NOT_HERE, f"HTTP {status} to login.aimharder.com")


@pytest.mark.parametrize("status", [201, 204, 304, 400, 401, 500, 503])
def test_no_other_status_than_200_is_a_statement(status: int) -> None:
    assert said(status=status, bookState=1, id="7").kind is ReplyKind.NOTHING_SAID


@pytest.mark.parametrize(
    "body",
    [b"", b"   ", b"<html>login</html>", b"null", b"[]", b'"booked"', b"1", b"{}", b"{", b"\xff\xfe", b"[" * 100_000],
)
def test_a_body_that_is_no_statement_says_nothing(body: bytes) -> None:
    assert read_reply(200, body).kind is ReplyKind.NOTHING_SAID


@given(st.integers(min_value=100, max_value=599), st.binary())
def test_no_bytes_make_the_reader_raise_or_believe_in_a_booking(status: int, body: bytes) -> None:
    assert read_reply(status, body).kind is not ReplyKind.BOOKED


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)
NAMES = st.sampled_from(["bookState", "id", "logout", "errorMssg", "errorMssgLang", "error", "message", "max"])


@given(st.dictionaries(NAMES | st.text(), JSON))
def test_no_json_makes_the_reader_raise_and_booked_always_has_state_and_id(answer: dict[str, Any]) -> None:
    reply = read_reply(200, json.dumps(answer).encode())
    if reply.kind in (ReplyKind.BOOKED, ReplyKind.ON_A_LIST):
        assert answer["id"]
        assert reply.book_state in (0, 1)


ROW = {"id": 501, "bookState": None, "idres": None, "cancelledId": None}


def test_a_listing_tells_by_class_how_the_user_stands_in_it() -> None:
    listing = read_listing(
        {"bookings": [ROW, ROW | {"id": 502, "bookState": 1, "idres": 77}, ROW | {"id": 503, "bookState": 0}]}
    )
    assert [listing[key].book_state for key in ("501", "502", "503")] == [None, 1, 0]
    assert listing["502"].reservation_id == "77"
    assert listing["501"].reservation_id is None


def test_a_listing_tells_which_class_the_box_has_cancelled() -> None:
    listing = read_listing({"bookings": [ROW | {"cancelledId": 9}, ROW | {"id": 502}]})
    assert listing["501"].cancelled
    assert not listing["502"].cancelled


@pytest.mark.parametrize(
    "answer",
    [
        None,
        [],
        "x",
        3,
        {},
        {"bookings": None},
        {"bookings": {}},
        {"bookings": [3, {}]},
        {"logout": 1},
        {"logout": 1, "bookings": []},
    ],
)
def test_what_is_no_listing_is_never_taken_for_an_empty_one(answer: Any) -> None:
    with pytest.raises(ValueError, match="not a listing"):
        read_listing(answer)


@given(
    JSON | st.fixed_dictionaries({"bookings": st.lists(st.dictionaries(st.just("id") | st.just("bookState"), JSON))})
)
def test_no_json_makes_the_listing_raise_anything_but_that_it_is_none(answer: Any) -> None:
    try:
        read_listing(answer)
    except ValueError as exc:
        assert str(exc) == "not a listing"  # noqa: PT017  # both ways are right


@pytest.mark.parametrize(
    ("answer", "alive"),
    [
        ({"data": [{"id": 1, "name": "Ana"}]}, True),
        ({"data": []}, False),
        ({"logout": 1}, False),
        ({"logout": 1, "data": [{"id": 1}]}, False),
    ],
)
def test_whoami_tells_whether_the_session_is_alive(answer: Any, alive: bool) -> None:  # noqa: FBT001  # a table's column
    assert read_whoami(answer) is alive


@pytest.mark.parametrize("answer", [None, [], {}, {"data": None}, {"data": {}}, "<html>"])
def test_what_does_not_tell_is_no_answer_to_whoami(answer: Any) -> None:
    with pytest.raises(ValueError, match="whoami"):
        read_whoami(answer)


def test_a_refresh_gives_the_next_token_or_tells_that_the_session_is_dead() -> None:
    assert read_new_token({"newToken": "69232|1768841634|abc"}) == "69232|1768841634|abc"
    assert read_new_token({"logout": 1}) is None


@pytest.mark.parametrize("answer", [None, [], {}, {"newToken": ""}, {"newToken": None}, {"newToken": 7}])
def test_an_answer_without_a_token_is_neither(answer: Any) -> None:
    with pytest.raises(ValueError, match="token"):
        read_new_token(answer)


@pytest.mark.parametrize("words", ["<" * 60_000, "<a" * 30_000, "< " * 30_000])
def test_a_text_of_markup_without_end_is_read_at_once(words: str) -> None:
    began = time.process_time()
    reply = refusal(text=words)
    assert time.process_time() - began < 0.5  # read whole it takes some ten seconds
    assert len(reply.detail) <= 300
