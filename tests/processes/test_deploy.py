"""The unmodified service as a process, real signals: a deploy around an opening costs nobody the class."""

import asyncio
import signal

from replica import Replica

from prebooking.local.serving import listen, url_of
from prebooking.local.stack import Stack, service
from processes.one_wish import lateness_ms, until, wish

ENDED = "status not in ('pending', 'executing')"


async def test_a_deploy_before_the_opening_hands_it_to_the_next_replica_in_time(stack: Stack) -> None:
    sock = listen("127.0.0.1", 0)
    url = url_of(sock)
    sock.close()
    async with service(stack):
        old = stack.processes["service"]
        new = Replica(int(url.rpartition(":")[2]), stack.environment | {"PUBLIC_URL": url})
        try:
            await new.ready()
            wanted = await wish(stack, opens_in_s=4)
            await until(stack, wanted, "status = 'executing'")

            old.send_signal(signal.SIGTERM)

            await asyncio.wait_for(old.wait(), 3)
            row = await until(stack, wanted, ENDED)
            assert (row["status"], row["attempts"]) == ("completed", 1)
            [late] = await lateness_ms(stack, wanted)
            assert 0 <= late < 1000
        finally:
            new.kill()


async def test_a_deploy_at_the_opening_finishes_what_has_begun(stack: Stack) -> None:
    async with service(stack):
        wanted = await wish(stack, opens_in_s=2)
        await until(stack, wanted, "booking_started_at is not null")

        stack.processes["service"].send_signal(signal.SIGTERM)

        row = await until(stack, wanted, ENDED)
        assert row["status"] == "completed"
        [late] = await lateness_ms(stack, wanted)
        assert 0 <= late < 1000
        await asyncio.wait_for(stack.processes["service"].wait(), 12)
