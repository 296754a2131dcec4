#!/usr/bin/env python3
"""The open-source browser-use without its agent, which needs a model: its cloud client gets a browser and a socket.

The client's default base URL is the cloud's; this program passes the gateway's.

    GATEWAY_URL=http://... BROWSER_USE_API_KEY=... SITE_URL=http://... browser_use_open_source.py
"""

import asyncio
import json
import os
from urllib.parse import urlsplit, urlunsplit

import httpx
import websocket
from browser_use.browser.cloud.cloud import CloudBrowserClient
from browser_use.browser.cloud.views import CreateBrowserRequest


def socket_url(cdp_url):
    """Reads the socket's URL from json/version, below the path of `cdp_url` and with its query."""
    url = urlsplit(cdp_url)
    version = urlunsplit(url._replace(path=f"{url.path.rstrip('/')}/json/version"))
    return httpx.get(version).json()["webSocketDebuggerUrl"]


def drive(url, page):
    """Opens the page in a new tab and returns its title."""
    # The gateway refuses requests with an Origin, because they come from web pages.
    socket = websocket.create_connection(url, timeout=30, suppress_origin=True)

    heard = []

    def hear(name, value):
        # Events may arrive before the awaited reply.
        while not (found := [message for message in heard if message.get(name) == value]):
            heard.append(json.loads(socket.recv()))
        return found[0]

    def ask(id, method, session=None, **params):
        message = {"id": id, "method": method, "params": params}
        socket.send(json.dumps(message | ({"sessionId": session} if session else {})))
        return hear("id", id)["result"]

    target = ask(1, "Target.createTarget", url="about:blank")["targetId"]
    tab = ask(2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    ask(3, "Page.enable", tab)
    ask(4, "Page.navigate", tab, url=page)
    hear("method", "Page.domContentEventFired")
    title = ask(5, "Runtime.evaluate", tab, expression="document.title")["result"]["value"]
    socket.close()
    return title


async def main():
    client = CloudBrowserClient(api_base_url=os.environ["GATEWAY_URL"])
    wanted = CreateBrowserRequest(cloud_proxy_country_code=None, cloud_timeout=5)
    browser = await client.create_browser(wanted)
    print("session:", browser.id)
    print("version:", client.current_api_version)
    print("title:", drive(socket_url(browser.cdpUrl), f"{os.environ['SITE_URL']}/"))
    print("ended:", (await client.stop_browser()).status)
    await client.close()


asyncio.run(main())
