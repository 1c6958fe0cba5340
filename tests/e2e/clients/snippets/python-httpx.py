import re
import time

import httpx


def follow(url, token, show):
    last, pause, refused = "", 3.0, 0
    while not re.match(r"end(\.|$)", last):
        headers = {"Accept": "text/event-stream", "Authorization": f"Bearer {token()}"}
        if last:
            headers["Last-Event-ID"] = last
        try:
            # Heartbeats come at least every 20 s.
            with httpx.stream("GET", url, headers=headers, timeout=httpx.Timeout(10, read=60)) as answer:
                refused = refused + 1 if answer.status_code == 401 else 0
                if answer.status_code == 204 or refused > 1:
                    return
                text = ""
                for piece in answer.iter_text() if answer.status_code == 200 else ():
                    *blocks, text = (text + piece).split("\n\n")
                    for block in blocks:
                        fields = [line.partition(": ")[::2] for line in block.split("\n")]
                        pause = next((int(value) / 1000 for name, value in fields if name == "retry"), pause)
                        data = "\n".join(value for name, value in fields if name == "data")
                        if data:
                            fields = dict(fields)
                            last = fields.get("id") or last
                            show(fields.get("event", "message"), data, fields.get("id", ""))
        except httpx.TransportError:
            pass  # the connection was lost
        time.sleep(pause)
