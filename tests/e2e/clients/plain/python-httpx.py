import httpx


def follow(url, token, show):
    with httpx.stream("GET", url, headers={"Authorization": f"Bearer {token()}"}, timeout=None) as answer:
        text = ""
        for piece in answer.iter_text():
            *blocks, text = (text + piece).split("\n\n")
            for block in blocks:
                fields = dict(line.partition(": ")[::2] for line in block.split("\n"))
                if "data" in fields:
                    show(fields.get("event", "message"), fields["data"], fields.get("id", ""))
