#!/usr/bin/env python3
"""Opens a page in an existing session, over plain WebDriver BiDi, and saves a screenshot.

    bidi.py <status.webSocketUrl> <page> <file.png>

Needs websocket-client, which Selenium installs. The session continues afterwards.
"""

import base64
import itertools
import json
import sys

import websocket

socket_url, page, file = sys.argv[1:]
# Client libraries send no Origin: the gateway takes a request with that header for a web page's.
socket = websocket.create_connection(socket_url, timeout=60, suppress_origin=True)
ids = itertools.count(1)


def command(method, **params):
    number = next(ids)
    socket.send(json.dumps({"id": number, "method": method, "params": params}))
    while True:
        message = json.loads(socket.recv())
        if message.get("id") == number:
            if message["type"] == "error":
                sys.exit(f"{method}: {message['error']}: {message['message']}")
            return message["result"]


context = command("browsingContext.getTree")["contexts"][0]["context"]
command("browsingContext.navigate", context=context, url=page, wait="complete")
title = command(
    "script.evaluate",
    expression="document.title",
    target={"context": context},
    awaitPromise=False,
)
print("title:", title["result"]["value"])
picture = command("browsingContext.captureScreenshot", context=context)["data"]
with open(file, "wb") as out:
    out.write(base64.b64decode(picture))
print("screenshot:", file)
socket.close()
