"""Gives the place of a completed prebooking back to the gym.

The cancellation can't be repeated at will (effects.py): a late one costs a credit. So the intent is recorded before the
request is sent, the answer is awaited even if the caller is not waiting any more, and only the gym's listing decides
whether the place is gone. If a process is killed meanwhile, `settle` finds out the result by the listing, without
another cancellation.
"""

import asyncio
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from uuid import UUID, uuid4

import structlog

from prebooking.domain.classes import ListedClass
from prebooking.domain.errors import BoxSilentError, NotSentError, StoreUnavailableError
from prebooking.domain.giving_back import Cancellation, GivingBack
from prebooking.domain.ports import Clock, Gyms, Store
from prebooking.domain.prebooking import Box, Prebooking
from prebooking.domain.store_outcomes import StoreOutcome
from prebooking.usecases.booked_place import Enrolment, GymSession, enrolment_of, revive
from prebooking.usecases.effects import Effect, Effects
from prebooking.usecases.sessions.revive import SessionReviver

_log = structlog.get_logger()

_WAIT_S = 8.0  # for the caller; the effect goes on
_ANSWER_S = 20.0
_LEASE_S = 30.0  # longer than an answer may take: after it no request is under way any more
_LISTED_S = 4.0  # for so long a listing may lag behind the gym's own answer
_LOOK_AGAIN_S = 0.5
_MOST_SENT = 2


class Answer(Enum):
    """The result. UNKNOWN: it is settled by the background task, or when the user repeats the request."""

    GIVEN_BACK = auto()
    NOT_FOUND = auto()
    NOT_BOOKED = auto()
    LATE = auto()
    REFUSED = auto()
    UNKNOWN = auto()


@dataclass(frozen=True, slots=True)
class Result:
    answer: Answer
    prebooking: Prebooking | None = None
    gym_message: str = ""
    retry_after: float = 5.0  #: seconds, if it is UNKNOWN


class GiveBack:
    def __init__(
        self,
        store: Store,
        gyms: Gyms,
        effects: Effects,
        reviver: SessionReviver,
        clock: Clock,
        *,
        legacy_box: Box | None,
    ) -> None:
        self._store = store
        self._gyms = gyms
        self._effects = effects
        self._reviver = reviver
        self._clock = clock
        self._legacy_box = legacy_box

    async def give_back(self, prebooking_id: UUID, user_email: str, *, late: bool) -> Result:
        """Gives the place back. `late`: even if that costs the credit. Raises StoreUnavailableError."""
        effect: Effect[Result] = self._effects.run(
            "giving_back",
            f"{user_email.lower()} {prebooking_id} {late}",
            partial(self._give_back, prebooking_id, user_email, late),
        )
        try:
            async with asyncio.timeout(_WAIT_S):
                return await effect.result()
        except (TimeoutError, BoxSilentError):
            return Result(Answer.UNKNOWN)

    async def settle(self) -> None:
        """Finds out the result of unfinished cancellations by the listing. Raises StoreUnavailableError."""
        token = uuid4()
        for left in await self._store.take_given_back(token, lease_s=_LEASE_S):
            if left.prebooking is None:
                continue
            enrolment: ListedClass | Enrolment = Enrolment.UNKNOWN
            box = left.prebooking.box(self._legacy_box, left.session)
            if box is not None and left.session is not None:
                async with self._gyms.visit(box, left.session) as gym:
                    gym_session = GymSession(
                        gym, left.prebooking, left.session, box, left.absence_is_conclusive, revived=True
                    )
                    enrolment = await enrolment_of(gym_session, self._reviver)
            given_back = None if enrolment is Enrolment.UNKNOWN else enrolment is Enrolment.GONE
            await self._store.end_giving_back(left.prebooking.id, token, given_back=given_back)
            _log.info("giving_back_settled", prebooking_id=str(left.prebooking.id), given_back=given_back)

    async def _give_back(
        self,
        prebooking_id: UUID,
        user_email: str,
        late: bool,  # noqa: FBT001
        effect: Effect[Result],
    ) -> Result:
        token, asked = uuid4(), self._clock.monotonic()
        begun = await self._store.begin_giving_back(prebooking_id, user_email, token, lease_s=_LEASE_S)
        if begun.outcome is not StoreOutcome.LEASED:
            return _refused(begun)
        row, session = begun.prebooking, begun.session
        box = row.box(self._legacy_box, session) if row else None
        if row is None or session is None or box is None:
            given_back = None if begun.earlier else False
            return await self._end(effect, prebooking_id, token, Result(Answer.UNKNOWN, row), given_back=given_back)
        async with self._gyms.visit(box, session) as gym:
            not_after = asked + _LEASE_S - _ANSWER_S
            gym_session = GymSession(
                gym, row, session, box, begun.absence_is_conclusive, not_after, unsure=begun.earlier
            )
            result = await self._ask(gym_session, effect, late=late)
        # If no request was sent, there is nothing to settle.
        unknown = None if gym_session.sent or gym_session.unsure else False
        given_back = {Answer.GIVEN_BACK: True, Answer.UNKNOWN: unknown}.get(result.answer, False)
        return await self._end(effect, prebooking_id, token, result, given_back=given_back)

    async def _ask(self, gym_session: GymSession, effect: Effect[Result], *, late: bool) -> Result:
        """Requests the listing, sends the cancellation, and requests the listing again.

        Sends at most two cancellations.
        """
        for _ in range(_MOST_SENT):
            enrolment = await enrolment_of(gym_session, self._reviver)
            if enrolment is Enrolment.GONE:
                return Result(Answer.GIVEN_BACK)
            reservation_id = enrolment.reservation_id if isinstance(enrolment, ListedClass) else None
            if reservation_id is None:
                return Result(Answer.UNKNOWN)
            result = await self._send(gym_session, effect, reservation_id, late=late)
            if result is not None:
                return result
        return await self._confirmed(gym_session)

    async def _send(
        self, gym_session: GymSession, effect: Effect[Result], reservation_id: str, *, late: bool
    ) -> Result | None:
        """Sends the cancellation once. Returns None if the listing has to decide."""
        family_id = str(gym_session.row.booking_data.get("familyId") or "")
        send = partial(gym_session.gym.give_back, reservation_id, family_id, late=late)
        try:
            reply = await effect.send(send, within_s=_ANSWER_S, not_after=gym_session.not_after)
        except NotSentError:
            return Result(Answer.UNKNOWN)
        except BoxSilentError:
            gym_session.sent = gym_session.unsure = True
            return None
        gym_session.sent = True
        match reply.kind:
            case Cancellation.DONE:
                return await self._confirmed(gym_session)
            case Cancellation.LOGGED_OUT:
                return None if await revive(gym_session, self._reviver) else Result(Answer.UNKNOWN)
            case Cancellation.LATE if not late:
                return await self._refusal(gym_session, Result(Answer.LATE))
            case _:
                return await self._refusal(gym_session, Result(Answer.REFUSED, gym_message=reply.gym_message))

    async def _refusal(self, gym_session: GymSession, refused: Result) -> Result:
        """Returns the refusal, if the listing shows the place and no request is under way that may still cancel it."""
        enrolment = await enrolment_of(gym_session, self._reviver)
        if enrolment is Enrolment.GONE:
            return Result(Answer.GIVEN_BACK)
        return refused if isinstance(enrolment, ListedClass) and not gym_session.unsure else Result(Answer.UNKNOWN)

    async def _confirmed(self, gym_session: GymSession) -> Result:
        """Waits until the listing, which may lag, does not show the place any more."""
        until = self._clock.monotonic() + _LISTED_S
        while await enrolment_of(gym_session, self._reviver) is not Enrolment.GONE:
            if self._clock.monotonic() >= until:
                return Result(Answer.UNKNOWN)
            await self._clock.sleep(_LOOK_AGAIN_S)
        return Result(Answer.GIVEN_BACK)

    async def _end(
        self, effect: Effect[Result], prebooking_id: UUID, token: UUID, result: Result, *, given_back: bool | None
    ) -> Result:
        """Stores the result, however long that takes. Meanwhile callers get UNKNOWN."""
        end = partial(self._store.end_giving_back, prebooking_id, token, given_back=given_back)
        try:
            ended = await effect.store(end, provisional=Result(Answer.UNKNOWN))
        except StoreUnavailableError:
            return Result(Answer.UNKNOWN)
        if result.answer is Answer.GIVEN_BACK and ended.outcome is not StoreOutcome.GIVEN_BACK:
            return Result(Answer.UNKNOWN, ended.prebooking)  # another caller has the lease now
        return Result(result.answer, ended.prebooking, result.gym_message, result.retry_after)


def _refused(begun: GivingBack) -> Result:
    answers = {
        StoreOutcome.GIVEN_BACK: Answer.GIVEN_BACK,
        StoreOutcome.NOT_BOOKED: Answer.NOT_BOOKED,
        StoreOutcome.NOT_FOUND: Answer.NOT_FOUND,
    }
    answer = answers.get(begun.outcome, Answer.UNKNOWN)
    return Result(answer, begun.prebooking, retry_after=max(1.0, begun.retry_after))
