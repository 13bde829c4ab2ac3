"""Which number a token has makes no difference, nor which of two equal workers is the first."""

from tests.reliability.model.row import NULL, Row
from tests.reliability.model.world import Call, Worker, World

GONE = 1  #: any token whose maker is gone: nobody can show it any more

_Named = tuple[Row, tuple[Worker, ...], tuple[Call, ...]]


class Names:
    """Names the tokens of a world in the order of its workers: which numbers they have makes no difference."""

    def __init__(self, *, alike: bool) -> None:
        self._alike = alike
        self._renamed: dict[_Named, _Named] = {}  # of the same few a hundred thousand worlds consist

    def canonical(self, world: World) -> World:
        if world.row is None:
            return world
        named = (world.row, world.workers, world.late)
        renamed = self._renamed.get(named)
        if renamed is None:
            renamed = self._renamed[named] = self._rename(*named)
        row, workers, late = renamed
        return World(row, world.end, workers, late, *world[4:])

    def _rename(self, row: Row, workers: tuple[Worker, ...], late: tuple[Call, ...]) -> _Named:
        if self._alike:
            workers = tuple(sorted(workers, key=lambda w: (*w[:1], *w[2:], w.token != row.claim_token, w.token)))
        names = {NULL: NULL}
        for token in (*(w.token for w in workers), *(c.token for c in late)):
            names.setdefault(token, len(names) + GONE)
        row = row._replace(
            claim_token=names.get(row.claim_token, GONE),
            # Of these, as of the last three, only what somebody can show is ever compared.
            claim_tokens=frozenset(names[token] for token in row.claim_tokens if token in names),
            begun_token=names.get(row.begun_token, GONE),
            ended_token=names.get(row.ended_token, NULL),
            finished_token=names.get(row.finished_token, NULL),
            retry_token=names.get(row.retry_token, NULL),
        )
        return (
            row,
            tuple(w._replace(token=names[w.token]) for w in workers),
            tuple(sorted(c._replace(token=names[c.token]) for c in late)),
        )
