"""Streams that ask for all that they missed, 12,000 rows each, in the moment in which others' class opens."""

import asyncio
from datetime import datetime

from tests.benchmarks.contestants import Ours, Round
from tests.benchmarks.scene import Scene, sleep_until
from tests.benchmarks.streams import drain, open_stream

from prebooking_local.stack import Member

READER = Member("reader@example.com", "secret", "reader")
_STREAMS = 10
_BEFORE_S = 0.3
_CHANGE = """
insert into public.prebookings (user_email, box_subdomain, box_aimharder_id, booking_data, available_at, status)
select $1, 'mygym', '7', jsonb_build_object('day', '20200101', 'id', i::text), now(), 'cancelled'
from generate_series(1, $2::int) i
"""


class OursWithReplays(Ours):
    def __init__(self, scene: Scene, lead_s: float, rows: int) -> None:
        super().__init__(scene, lead_s)
        self.name = f"prebooking, {_STREAMS} streams replaying {rows:,} rows"
        self._rows = rows

    def ahead_s(self, count: int) -> float:
        return super().ahead_s(count) + 5.0

    async def run(self, count: int, opens_at: datetime) -> Round:
        missed_since = await self._cursor()
        async with self._scene.stack.database() as connection:
            await connection.execute(_CHANGE, READER.email, self._rows)
            replaying = asyncio.create_task(self._replay(opens_at, missed_since))
            round_ = await super().run(count, opens_at)
            await replaying
            await connection.execute("delete from public.prebookings where user_email = $1", READER.email)
        return round_

    async def _cursor(self) -> str:
        """Where a stream is that was opened now."""
        reader, writer = await open_stream(self._scene.stack, READER)
        told = await reader.readuntil(b"\nid: ") + await reader.readline()
        writer.close()
        return told.decode().rpartition("id: ")[2].strip()

    async def _replay(self, opens_at: datetime, since: str) -> None:
        """One stream after another, so that what is read for them spans the opening."""
        await sleep_until(opens_at, -_BEFORE_S)
        streams = []
        for _ in range(_STREAMS):
            streams.append(await open_stream(self._scene.stack, READER, since))
            await asyncio.sleep(2 * _BEFORE_S / _STREAMS)
        reading = [asyncio.create_task(drain(reader)) for reader, _ in streams]
        await sleep_until(opens_at, 1.0)
        for (_, writer), task in zip(streams, reading, strict=True):
            task.cancel()
            writer.close()
