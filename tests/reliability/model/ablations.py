"""The protocol with one rule taken away, and what must go wrong then: a rule that nothing misses proves nothing."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from tests.reliability.model.row import (
    BEFORE_THE_END,
    LONG_OVER,
    NULL,
    OVER,
    TOO_CLOSE,
    Answer,
    Row,
    begin_booking,
    cancel_prebooking,
    claim_prebooking,
    finish_booking,
    park_prebooking,
    release_prebooking,
    renew_claim,
)
from tests.reliability.model.world import HARD, Outside, Protocol


@dataclass(frozen=True)
class Ablation:
    protocol: Protocol
    caught_by: str
    outside: Outside = HARD
    workers: int = 2
    late_calls: int = 0
    wished_twice: bool = False


def _lied_to(function: Callable[..., Answer], r: Row, *arguments: Any, **lie: Any) -> Answer:
    """The function believes the lie, so its guard is none; it writes what it would write otherwise."""
    believed = r._replace(**lie)
    outcome, after = function(believed, *arguments)
    written: dict[str, Any] = {f: new for f, old, new in zip(Row._fields, believed, after, strict=True) if new != old}
    return outcome, r._replace(**written) if written else r


def begin_by_id_alone(r: Row, end: int, token: int, most: int, settled: bool, another: bool) -> Answer:  # noqa: FBT001
    return _lied_to(begin_booking, r, end, token, most, settled, another, claim_token=token)


def begin_beside_another(r: Row, end: int, token: int, most: int, settled: bool, another: bool) -> Answer:  # noqa: FBT001
    return begin_booking(r, end, token, most, settled)


def finish_by_id_alone(r: Row, token: int, outcome: str) -> Answer:
    return _lied_to(finish_booking, r, token, outcome, claim_token=token)


def finish_of_anything(r: Row, token: int, outcome: str) -> Answer:
    return _lied_to(finish_booking, r, token, outcome, claim_token=token, status="executing")


def claim_that_settles_no_longer_than_the_class(r: Row, end: int, token: int, version: int, most: int) -> Answer:
    return claim_prebooking(r, LONG_OVER if end == OVER else end, token, version, most)


def claim_without_the_last_attempt(r: Row, end: int, token: int, version: int, most: int) -> Answer:
    return claim_prebooking(r, end, token, version, most - 1)


def release_by_id_alone(r: Row, token: int, graceful: bool, settled: bool) -> Answer:  # noqa: FBT001
    return _lied_to(release_prebooking, r, token, graceful, settled, claim_token=token)


def renewal_by_id_alone(r: Row, token: int) -> Answer:
    return _lied_to(renew_claim, r, token, claim_token=token)


def begin_until_the_class_is_over(
    r: Row,
    end: int,
    token: int,
    most: int,
    settled: bool,  # noqa: FBT001
    another: bool,  # noqa: FBT001
) -> Answer:
    return begin_booking(r, BEFORE_THE_END if end == TOO_CLOSE else end, token, most, settled, another)


def park_for_no_time(r: Row, token: int, retry: bool) -> Answer:  # noqa: FBT001
    outcome, after = park_prebooking(r, token, retry)
    return outcome, after._replace(leased=False) if outcome == "parked" else after


ABLATIONS: Mapping[str, Ablation] = {
    "no settling before a repeat": Ablation(Protocol(settles_before_a_repeat=False), "booked_at_most_once"),
    "no begin": Ablation(Protocol(begins_before_it_fires=False), "booked_at_most_once"),
    "begin by id alone": Ablation(Protocol(begin=begin_by_id_alone), "failed_means_not_booked"),
    "finish by id alone": Ablation(Protocol(finish=finish_by_id_alone), "failed_means_not_booked"),
    "finish of a finished row": Ablation(Protocol(finish=finish_of_anything), "a_finished_row_changes_by_retry_alone"),
    "renewal by id alone": Ablation(Protocol(renew=renewal_by_id_alone), "only_the_token_writes"),
    "a class about to start is begun": Ablation(
        Protocol(begin=begin_until_the_class_is_over), "nothing_begins_close_to_the_class", workers=1
    ),
    "release by id alone": Ablation(Protocol(release=release_by_id_alone), "only_the_token_writes"),
    "a claim takes over before the lease ends": Ablation(
        Protocol(claim=partial(_lied_to, claim_prebooking, leased=False)), "booked_at_most_once"
    ),
    "a claim by a token that lost the row": Ablation(
        Protocol(claim=partial(_lied_to, claim_prebooking, claim_tokens=frozenset())),
        "failed_means_not_booked",
        late_calls=1,
    ),
    "a begun row can be cancelled": Ablation(
        Protocol(cancel=partial(_lied_to, cancel_prebooking, begun_token=NULL)),
        "nothing_leaves_after_a_confirmed_cancel",
    ),
    "cancel in QStash first": Ablation(
        Protocol(cancels_in_the_database_first=False), "nothing_leaves_after_a_confirmed_cancel"
    ),
    "released instead of parked": Ablation(Protocol(parks_what_is_unknown=False), "booked_at_most_once"),
    "parked for no time": Ablation(Protocol(park=park_for_no_time), "booked_at_most_once"),
    "fires after its deadline": Ablation(Protocol(stops_at_its_deadline=False), "booked_at_most_once"),
    "a stale listing is believed": Ablation(
        Protocol(asks_again_when_unsure=False), "failed_means_not_booked", Outside(books_twice=False, listing_lags=True)
    ),
    "silence is taken for success": Ablation(Protocol(silence_proves_nothing=False), "completed_means_booked"),
    "settled no longer than the class": Ablation(
        Protocol(claim=claim_that_settles_no_longer_than_the_class), "what_is_booked_is_found_out", workers=1
    ),
    "the last attempt is refused": Ablation(
        Protocol(claim=claim_without_the_last_attempt), "what_is_pending_can_be_booked", workers=1
    ),
    "a begin beside another of the class": Ablation(
        Protocol(begin=begin_beside_another), "booked_at_most_once", workers=1, wished_twice=True
    ),
    "no sweep": Ablation(Protocol(sweeps=False), "never_stuck", workers=1),
}
