"""The Prometheus metrics of one replica, named by Prometheus's conventions."""

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, GCCollector, Histogram, ProcessCollector
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest

from prebooking.domain.outcome import Outcome

# From 0.2 ms, since one millisecond may decide on a place, to 10 s, when the place is gone.
_LATENESS_S = (0.0002, 0.0005, 0.001, 0.002, 0.003, 0.005, 0.0075, 0.01, 0.015, 0.025, 0.05, 0.1, 0.25, 1, 2, 10)
_LAG_S = (0.1, 0.25, 0.5, 1, 1.5, 2, 3, 5, 10, 30, 60, 300)
_FOUND = ("nothing", "something")
_LEFT_S = (0, 0.5, 1, 2, 3, 4, 5, 6, 8, 15, 30)


class PrometheusMetrics:
    """See prebooking.domain.ports.Metrics.

    `refusals`: the reasons why a signature may be refused. `tokens`: the checks that may refuse an access token. Their
    series are created at 0.
    """

    def __init__(self, refusals: Iterable[str] = (), tokens: Iterable[str] = ()) -> None:
        registry = self._registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        GCCollector(registry=registry)
        self._deliveries = Counter(
            "prebooking_deliveries", "Deliveries by QStash, by response.", ["outcome"], registry=registry
        )
        self._swept = Counter(
            "prebooking_sweep_executions",
            "Executions that the sweep started.",
            ["outcome"],
            registry=registry,
        )
        self._conflicts = Counter(
            "prebooking_claim_conflicts", "Executions that found the row claimed by another.", registry=registry
        )
        self._ended = Counter(
            "prebooking_finished", "Prebookings finished by this replica, by outcome.", ["outcome"], registry=registry
        )
        self._lateness = Histogram(
            "prebooking_fire_lateness_seconds",
            "From the opening to the write of a prebooking's first request.",
            buckets=_LATENESS_S,
            registry=registry,
        )
        self._lag = Histogram(
            "prebooking_qstash_lag_seconds",
            "From the instant for which a message was scheduled to its first delivery.",
            buckets=_LAG_S,
            registry=registry,
        )
        self._left = Histogram(
            "prebooking_budget_left_seconds",
            "Time that was left to a delivery when it was answered.",
            buckets=_LEFT_S,
            registry=registry,
        )
        self._crowded = Counter(
            "prebooking_crowded_openings",
            "Openings for which more was scheduled here than can be made ready within the lead.",
            registry=registry,
        )
        self._sweeps = Counter(
            "prebooking_sweeps", "Sweeps, by whether they found something.", ["found"], registry=registry
        )
        self._dead = Counter("prebooking_sessions_dead", "AimHarder sessions found dead.", registry=registry)
        self._refusals = Counter(
            "prebooking_signature_refusals",
            "Deliveries with a wrong signature.",
            ["reason"],
            registry=registry,
        )
        self._tokens = Counter(
            "prebooking_token_refusals", "Access tokens that were refused, by check.", ["reason"], registry=registry
        )
        self._notices = Counter(
            "prebooking_notices", "Notices that QStash accepted, by kind.", ["kind"], registry=registry
        )
        # Created at 0, since Prometheus sees no increase in a series that begins at 1.
        known = ((self._ended, Outcome), (self._sweeps, _FOUND), (self._refusals, refusals), (self._tokens, tokens))
        for counter, labels in known:
            for label in labels:
                counter.labels(label)

    def observe_delivery(self, outcome: str, *, by_sweep: bool, left_s: float) -> None:
        (self._swept if by_sweep else self._deliveries).labels(outcome).inc()
        if outcome == "held":
            self._conflicts.inc()
        if not by_sweep:
            self._left.observe(left_s)

    def observe_lag(self, seconds: float) -> None:
        self._lag.observe(seconds)

    def observe_lateness(self, lateness_s: float) -> None:
        self._lateness.observe(lateness_s)

    def count_finished(self, outcome: str) -> None:
        self._ended.labels(outcome).inc()

    def count_crowded_opening(self) -> None:
        self._crowded.inc()

    def count_sweep(self, *, found: int) -> None:
        self._sweeps.labels(_FOUND[found > 0]).inc()

    def count_dead_session(self) -> None:
        self._dead.inc()

    def count_refused_signature(self, reason: str) -> None:
        self._refusals.labels(reason).inc()

    def count_refused_token(self, check: str) -> None:
        self._tokens.labels(check).inc()

    def count_notice(self, kind: str) -> None:
        self._notices.labels(kind).inc()

    def exposition(self) -> tuple[bytes, str]:
        return generate_latest(self._registry), CONTENT_TYPE_LATEST
