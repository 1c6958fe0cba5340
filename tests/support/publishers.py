"""Write to Redis as the workers of the three example systems do."""

import datetime
import json
import time


def now_iso():
    return datetime.datetime.now(datetime.timezone.utc).isoformat()


class Builder:
    """FastAPI with Clerk.  First the hash, then a flat JSON object on the job's channel.  Log lines go to a Stream."""

    def __init__(self, redis, job, user="alice"):
        self.redis, self.job, self.user = redis, job, user
        self.key, self.channel, self.log_key = f"job:{job}", f"job:{job}:events", f"job:{job}:logs"

    def create(self, status="queued", message="Waiting for a worker"):
        fields = {"user_id": self.user, "status": status, "created_at": now_iso()}
        if message is not None:
            fields["status_message"] = message
        self.redis.hset(self.key, mapping=fields)
        return self

    def write_status(self, status, message=""):
        """Writes only the hash, like a worker whose PUBLISH failed."""
        self.redis.hset(self.key, mapping={"status": status, "status_message": message})

    def move(self, status, message="", kind="build.stage.started", **more):
        """Writes the new status and publishes it.  Returns the payload."""
        self.write_status(status, message)
        return self.publish(kind, status=status, message=message, **more)

    def publish(self, kind, **fields):
        payload = json.dumps({"type": kind, "job_id": self.job, "timestamp": now_iso(), **fields})
        self.redis.publish(self.channel, payload)
        return payload

    def log(self, text, source="stdout", phase="install", **more):
        """Appends a log line and returns its entry id.  Omits `source` or `phase` if it is None."""
        fields = {"ts": now_iso(), "source": source, "text": text, "phase": phase}
        fields = {name: value for name, value in fields.items() if value is not None}
        entry = self.redis.xadd(self.log_key, fields, maxlen=50000, approximate=True, **more)
        self.redis.expire(self.log_key, 24 * 3600)
        return entry

    def log_many(self, count, prefix="line"):
        pipe = self.redis.pipeline(transaction=False)
        for number in range(count):
            fields = {"ts": now_iso(), "source": "stdout", "text": f"{prefix} {number}", "phase": "build"}
            pipe.xadd(self.log_key, fields, maxlen=50000, approximate=True)
        return pipe.execute()


class Spools:
    """FastAPI with sse-starlette.  Publishes every state change on one channel."""

    CHANNEL = "spools:updates"

    def __init__(self, redis):
        self.redis = redis

    def update(self, kind="TOMAR", tag="MK-1335-CW-25238-011", timestamp=None, **more):
        payload = json.dumps(
            {
                "event_type": kind,
                "tag_spool": tag,
                "worker_nombre": "MR(93)",
                "estado_detalle": "En progreso",
                "timestamp": timestamp or now_iso(),
                **more,
            },
            ensure_ascii=False,
        )
        self.redis.publish(self.CHANNEL, payload)
        return payload


class Blog:
    """Express with BullMQ.  First the record, then `{"event" or "type", "data"}` on the job's channel."""

    def __init__(self, redis, job, user=None, session=None):
        self.redis, self.job, self.user, self.session = redis, job, user, session
        self.key, self.channel = f"jobs:{job}", f"jobs:{job}:events"

    def create(self, status="queued", **fields):
        owner = {"user_id": self.user, "session_id": self.session}
        fields = {"status": status, "created_at": int(time.time() * 1000), **owner, **fields}
        self.redis.hset(self.key, mapping={name: "" if value is None else value for name, value in fields.items()})
        return self

    def write(self, **fields):
        """Writes only the record."""
        self.redis.hset(self.key, mapping=fields)

    def publish(self, name, data=None, key="event"):
        message = {key: name} if data is None else {key: name, "data": data}
        payload = json.dumps(message, separators=(",", ":"))
        self.redis.publish(self.channel, payload)
        return payload

    def progress(self, progress, step, remaining=None):
        fields = {"status": "running", "progress": progress, "current_step": step}
        if remaining is not None:
            fields["estimated_seconds_remaining"] = remaining
        self.write(**fields)
        data = {"progress": progress, "currentStep": step, "estimatedTimeRemaining": remaining}
        self.publish("progress-update", data)
        return data

    def complete(self, result):
        self.write(status="succeeded", progress=100, result=json.dumps(result))
        self.publish("complete", {"result": result})

    def fail(self, error, code=None):
        fields = {"status": "failed", "error": error}
        if code is not None:
            fields["error_code"] = code
        self.write(**fields)
        self.publish("failed", {"error": error, "errorCode": code})
