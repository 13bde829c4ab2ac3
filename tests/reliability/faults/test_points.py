"""The failpoints are all there are: around each call that a running replica makes, and each is in the matrix."""

from itertools import product

import pytest
from tests.reliability.faults.cases import FAULTS, all_cases
from tests.reliability.faults.failpoints import CALLS, POINTS
from tests.reliability.faults.fault_injection import Occurrence

from prebooking.domain.ports import Gym, HeldRequest, Messages, Store

#: The chores book nothing: tests/web/test_notifications.py and test_session_watch.py end them between their calls.
CHORES = {
    *("take_notices", "mark_sent", "note_notice_failure", "take_session_looks", "note_session_look"),
    *("remove_old", "note_ping", "forward"),
}
#: `check` and `schedule_sweep` are no running replica's; `use`, `cookies`, `hold`, `aim`, `lost` and `fired_at` ask
#: nobody; `aclose` hangs up; `renew` changes nothing but a lease, and is asked long before an opening:
#: tests/web/test_leases.py loses its answers; `own_email` comes before what a user asks for:
#: tests/web/test_email_owners.py; `read_changes`, `read_history` and `timetable` ask for a page, change nothing, and
#: nothing else follows; calendars change no row and no session: tests/web/test_calendar.py; `note_box_domains` repeats
#: what AimHarder says: tests/web/test_domains.py; `take_given_back` and `take_series` take a lease alone:
#: tests/web/test_giving_back.py, tests/postgres/test_series.py.
NO_CALLS = CHORES | {
    *("check", "schedule_sweep", "use", "cookies", "hold", "aim", "lost", "warm", "fired_at", "aclose"),
    *("read_changes", "read_history", "timetable", "renew", "own_email"),
    *("make_calendar", "end_calendar", "read_calendar", "note_box_domains"),
    *("take_given_back", "take_series"),
}


@pytest.mark.parametrize(
    ("name", "port"), [("store", Store), ("messages", Messages), ("gym", Gym), ("held", HeldRequest)]
)
def test_each_method_of_a_port_has_its_points(name: str, port: type) -> None:
    methods = {method for part in port.__mro__ for method in vars(part) if not method.startswith("_")}
    assert set(CALLS[name]) == methods - NO_CALLS


def test_each_point_meets_each_fault_the_first_time_and_again() -> None:
    run = {(case.point, case.action, case.when) for case in all_cases()}
    assert set(product(POINTS, FAULTS, (Occurrence.FIRST, Occurrence.AGAIN))) <= run


def test_no_case_runs_twice() -> None:
    names = [str(case) for case in all_cases()]
    assert len(names) == len(set(names))
