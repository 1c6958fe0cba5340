import re

import httpx


def follow(url, token, show, stop):
    """`stop` is a threading.Event."""
    last, pause, refused = "", 3.0, 0
    while not stop.is_set() and not re.match(r"end(\.|$)", last):
        try:
            headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token()}"}
            if last:
                headers["Last-Event-ID"] = last
            # The examples send a heartbeat at least every 20 s.
            with httpx.stream("GET", url, headers=headers, timeout=httpx.Timeout(10, read=60)) as answer:
                status = answer.status_code
                refused = refused + 1 if status == 401 else 0
                if refused > 1 or (status < 500 and status not in (200, 401, 429)):
                    return
                text = ""
                for piece in answer.iter_text() if status == 200 else ():
                    if stop.is_set():
                        return
                    *blocks, text = (text + piece).split("\n\n")
                    for block in blocks:
                        fields = [line.partition(": ")[::2] for line in block.split("\n")]
                        pause = next((int(value) / 1000 for name, value in fields if name == "retry"), pause)
                        data = "\n".join(value for name, value in fields if name == "data")
                        fields = dict(fields)
                        last = fields.get("id") or last  # a drain sends an id without data
                        if data:
                            show(fields.get("event", "message"), data, fields.get("id", ""))
        except (httpx.TransportError, OSError):
            pass  # the connection was lost, or there is no token
        stop.wait(pause)
