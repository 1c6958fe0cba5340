"""A straightforward SSE server in FastAPI, as in the documents of builder and spools.

Each client of a channel has a generator and a Redis Pub/Sub connection.  Each client of a log has an XREAD loop.  Pages
use XREVRANGE.  Runs under uvicorn with the environment variables REDIS_SOCKET and JWT_SECRET.
"""

import asyncio
import json
import os
import time

import jwt
import redis.asyncio as redis
from fastapi import Depends, FastAPI, Header, HTTPException, Query, Request
from fastapi.responses import StreamingResponse

app = FastAPI()
pool = redis.BlockingConnectionPool.from_url(
    "unix://" + os.environ["REDIS_SOCKET"], decode_responses=True, max_connections=15000, timeout=60
)
HEADERS = {"Cache-Control": "no-cache, no-transform", "X-Accel-Buffering": "no"}


def get_redis():
    return redis.Redis(connection_pool=pool)


def user_of(authorization: str = Header("")):
    try:
        return jwt.decode(authorization[len("Bearer ") :], os.environ["JWT_SECRET"], algorithms=["HS256"])["sub"]
    except jwt.InvalidTokenError as error:
        raise HTTPException(401, "Unauthorized") from error


async def owned(job_id, user, store):
    record = await store.hgetall(f"job:{job_id}")
    if not record or record.get("user_id") != user:
        raise HTTPException(404, "Job not found")
    return record


async def follow(request, store, channel):
    pubsub = store.pubsub()
    await pubsub.subscribe(channel)
    try:
        yield "retry: 3000\n\n"
        beat = time.monotonic()
        while not await request.is_disconnected():
            if time.monotonic() - beat >= 15:
                yield "event: heartbeat\ndata: {}\n\n"
                beat = time.monotonic()
            message = await pubsub.get_message(ignore_subscribe_messages=True, timeout=1.0)
            if message:
                yield f"data: {message['data']}\n\n"
                beat = time.monotonic()
    finally:
        await pubsub.close()


async def follow_log(request, store, key):
    yield "retry: 3000\n\n"
    last, beat = "$", time.monotonic()
    newest = await store.xrevrange(key, count=1)
    last = newest[0][0] if newest else "0-0"
    while not await request.is_disconnected():
        if time.monotonic() - beat >= 20:
            yield "event: heartbeat\ndata: {}\n\n"
            beat = time.monotonic()
        for _, entries in await store.xread({key: last}, block=500, count=100):
            for last, fields in entries:
                yield f"id: {last}\nevent: log\ndata: {json.dumps({'id': last, **fields})}\n\n"
        await asyncio.sleep(0)


@app.get("/bench/{name}")
async def broadcast(name: str, request: Request, store=Depends(get_redis)):
    return StreamingResponse(follow(request, store, f"bench:{name}"), media_type="text/event-stream", headers=HEADERS)


@app.get("/bench-log/{name}")
async def log(name: str, request: Request, store=Depends(get_redis)):
    return StreamingResponse(
        follow_log(request, store, f"bench-log:{name}"), media_type="text/event-stream", headers=HEADERS
    )


@app.get("/api/jobs/{job_id}/events/stream")
async def events(job_id: str, request: Request, user=Depends(user_of), store=Depends(get_redis)):
    await owned(job_id, user, store)
    return StreamingResponse(
        follow(request, store, f"job:{job_id}:events"), media_type="text/event-stream", headers=HEADERS
    )


@app.get("/api/jobs/{job_id}/logs")
async def page(
    job_id: str,
    before_id: str = Query(None),
    limit: int = Query(100, ge=1, le=500),
    user=Depends(user_of),
    store=Depends(get_redis),
):
    await owned(job_id, user, store)
    newest = f"({before_id}" if before_id else "+"
    entries = await store.xrevrange(f"job:{job_id}:logs", max=newest, count=limit + 1)
    lines = [{"id": entry, **fields} for entry, fields in reversed(entries[:limit])]
    return {"lines": lines, "has_more": len(entries) > limit, "oldest_id": lines[0]["id"] if lines else None}
