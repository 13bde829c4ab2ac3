"""Everything on this machine, for development, with one prebooking to look at; it runs until Ctrl-C."""

import asyncio
import signal
from base64 import b64encode
from secrets import token_bytes

from rich.console import Console

from prebooking_local.opening import CLASS_ID, Opening, members
from prebooking_local.processes import StartFailedError
from prebooking_local.serving import PortBusyError
from prebooking_local.stack import Member, Ports, Stack, local_stack
from prebooking_local.week import keep_one_soon, put_up_week

_MEMBERS = 3
_OPENS_IN_S = 20  # time to open the page
_CAPACITY = 20


async def dev(ports: Ports, out: Console) -> int:
    """Runs until Ctrl-C. Returns the exit code."""
    stop = asyncio.Event()
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        asyncio.get_running_loop().add_signal_handler(sig, stop.set)
    *crowd, newcomer = members(_MEMBERS)
    key = b64encode(token_bytes(32)).decode()  # so that a password can be remembered
    out.print("Starting Postgres, Supabase's gateway, QStash, AimHarder and the service …")
    try:
        async with local_stack(
            ports, [*crowd, newcomer], SCHEDULE_FOR_NOW="false", SESSION_ENCRYPTION_KEYS=key
        ) as stack:
            await stack.enrol(crowd)
            await stack.sign_up([newcomer])
            out.print(_addresses(stack), soft_wrap=True)
            out.print(_invitation(stack, newcomer), soft_wrap=True)
            showing = [asyncio.create_task(_show_one(stack, out)), asyncio.create_task(keep_one_soon(stack))]
            await stop.wait()
            for task in showing:
                task.cancel()
            out.print("Stopping …")
    except (PortBusyError, StartFailedError) as exc:
        out.print(f"[bold red]Not started.[/] {exc}")
        return 1
    return 0


def _invitation(stack: Stack, newcomer: Member) -> str:
    first = members(1)[0]
    return (
        f"\n  [bold]Watch it: [link={stack.service_url}/]{stack.service_url}/[/link][/]   "
        f"(pick {first.email}: a class of theirs opens in {_OPENS_IN_S} s)\n"
        f"  Or begin anew: pick {newcomer.email}, and sign in to AimHarder with that e-mail and the password "
        f"{newcomer.password}\n"
    )


def _addresses(stack: Stack) -> str:
    """One address a line, which a narrow terminal wraps without breaking it for who copies it."""
    addresses = {
        "the service, with its page": f"{stack.service_url}/",
        "Supabase": stack.supabase_url,
        "its database": stack.database_url,
        "QStash": stack.qstash_url,
        "what it has delivered": f"{stack.qstash_url}/_control/messages",
        "AimHarder": stack.aimharder_url,
        "what it was asked": f"{stack.aimharder_url}/_control/ledger",
        "speak for a member": f"Authorization: Bearer {stack.environment['SERVICE_API_KEY']}",
        "": f"X-User-Email: {members(1)[0].email}",
    }
    lines = [f"  {what:<28}{where}" for what, where in addresses.items()]
    return "\n".join(["[bold]Running on this machine; Ctrl-C ends all of it[/]", *lines])


async def _show_one(stack: Stack, out: Console) -> None:
    member, opening = members(1)[0], Opening(stack, _OPENS_IN_S)
    await opening.announce(capacity=_CAPACITY)
    await put_up_week(stack)
    row = await opening.prebook(member)
    out.print(f"{member.name} wants class {CLASS_ID}, which opens at {opening.at:%H:%M:%S} UTC: prebooking {row['id']}")
    row = await opening.result(member, row)
    result = row["result"] or {}
    timings = result.get("timings", {})
    out.print(
        f"[bold green]✓[/] {result.get('message')} The request left {timings.get('fire_lateness_ms')} ms after the "
        f"opening and was answered {timings.get('response_ms')} ms later."
        if result.get("success")
        else f"[bold red]✗[/] {row['status']}: {row['error_message']}"
    )
    out.print("Prebook more on the page, or with POST /prebookings: the README has the requests.")
