"""Both services' clients for Python ask for a proxy with a password.

    PROXY=host:port PROXY_USERNAME=... PROXY_PASSWORD=... SITE_URL=http://... proxies.py
"""

import os

from browser_use_sdk import BrowserUse
from browser_use_sdk.generated.v2.models import CustomProxy
from browserbase import Browserbase
from playwright.sync_api import sync_playwright

gateway, site, proxy = os.environ["GATEWAY_URL"], os.environ["SITE_URL"], os.environ["PROXY"]
username, password = os.environ["PROXY_USERNAME"], os.environ["PROXY_PASSWORD"]
host, port = proxy.rsplit(":", 1)


def title(url):
    with sync_playwright() as playwright:
        browser = playwright.chromium.connect_over_cdp(url)
        page = browser.contexts[0].pages[0]
        page.goto(f"{site}/")
        return page.title()


bb = Browserbase()
session = bb.sessions.create(
    keep_alive=True,
    proxies=[{"type": "external", "server": f"http://{proxy}", "username": username, "password": password}],
)
print("browserbase:", session.id)
print("browserbase title:", title(session.connect_url))
print("browserbase bytes:", bb.sessions.retrieve(session.id).proxy_bytes)
bb.sessions.update(session.id, status="REQUEST_RELEASE")

bu = BrowserUse(base_url=f"{gateway}/api/v2")
browser = bu.browsers.create(
    custom_proxy=CustomProxy(host=host, port=int(port), username=username, password=password),
)
print("browser use:", browser.id)
print("browser use title:", title(browser.cdp_url))
print("browser use megabytes:", bu.browsers.get(str(browser.id)).proxy_used_mb)
bu.browsers.stop(str(browser.id))
