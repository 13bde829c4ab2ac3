"""What a user would write first: QStash calls at the opening, the handler verifies, claims, reads, and books.

No lead, no preparation: everything happens after the bell. All settings are in the environment.
"""

import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import httpx
import uvicorn
from qstash import Receiver
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

_TABLE = """
create table if not exists plain (
  id int primary key, email text not null, class_id text not null, day text not null, status text default 'pending')
"""
_BOX_URL = os.environ["AIMHARDER_BOX_URL"].replace("{box}", "mygym")


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[None]:
    async with asyncpg.create_pool(os.environ["DATABASE_URL"]) as app.state.pool:
        await app.state.pool.execute(_TABLE)
        yield


async def ready(_: Request) -> Response:
    return Response()


async def hook(request: Request) -> Response:
    body = (await request.body()).decode()
    receiver = Receiver(os.environ["QSTASH_CURRENT_SIGNING_KEY"], os.environ["QSTASH_NEXT_SIGNING_KEY"])
    receiver.verify(signature=request.headers["upstash-signature"], body=body)
    pool = request.app.state.pool
    row = await pool.fetchrow(
        "update plain set status = 'executing' where id = $1 and status = 'pending' returning *", json.loads(body)["id"]
    )
    if row is None:
        return JSONResponse({"skipped": True})
    session = await pool.fetchrow("select * from auth_sessions where user_email = $1", row["email"])
    cookie = "; ".join(f"{c['name']}={c['value']}" for c in json.loads(session["aimharder_cookies"]))
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.post(
            f"{_BOX_URL}/api/book",
            data={"id": row["class_id"], "day": row["day"], "insist": "0", "familyId": ""},
            headers={"Cookie": cookie},
        )
    status = "completed" if answer.json().get("bookState") == 1 else "failed"
    await pool.execute("update plain set status = $2 where id = $1", row["id"], status)
    return JSONResponse({"status": status})


app = Starlette(routes=[Route("/hook", hook, methods=["POST"]), Route("/readyz", ready)], lifespan=lifespan)

if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="warning")
