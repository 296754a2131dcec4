#!/usr/bin/env python3
"""A program for Browser Use's cloud, with Playwright: a browser, then a session.

    GATEWAY_URL=http://... BROWSER_USE_API_KEY=... SITE_URL=http://... browser_use_playwright.py
"""

import os

from browser_use_sdk import BrowserUse
from browser_use_sdk.v3 import BrowserUse as BrowserUseV3
from browser_use_sdk.v4 import BrowserUse as BrowserUseV4
from playwright.sync_api import sync_playwright

gateway, site, build = os.environ["GATEWAY_URL"], os.environ["SITE_URL"], os.environ.get("BUILD", "none")
# The base URL contains the API version. The SDK reads the key from the environment.
client = BrowserUse(base_url=f"{gateway}/api/v2")

browser = client.browsers.create(timeout=5, proxy_country_code=None, metadata={"build": build})
print("session:", browser.id)
print("found:", *(one.id for one in client.browsers.list(filter_by="active", metadata=[f"build={build}"]).items))
with sync_playwright() as playwright:
    connection = playwright.chromium.connect_over_cdp(browser.cdp_url)
    page = connection.contexts[0].pages[0]
    page.goto(f"{site}/")
    print("title:", page.title())
    page.fill("#name", "playwright")
    page.click("#submit")
    # The page's script writes the text.
    page.locator("#sent:not(:empty)").wait_for()
    print("sent:", page.text_content("#sent"))
    connection.close()

# The other API versions serve the same browsers.
with BrowserUseV3(base_url=f"{gateway}/api/v3") as v3, BrowserUseV4(base_url=f"{gateway}/api/v4") as v4:
    print("v3:", v3.browsers.get(str(browser.id)).status.value)
    print("ended:", v4.browsers.stop(str(browser.id)).status.value)

session = client.sessions.create(start_url=f"{site}/second.html", browser_screen_width=1024, browser_screen_height=768)
print("open:", session.status.value)
print("tasks:", len(client.sessions.get(str(session.id)).tasks))
share = client.sessions.create_share(str(session.id))
print("shared:", client.sessions.get(str(session.id)).public_share_url == share.share_url)
print("views:", client.sessions.get_share(str(session.id)).view_count)
client.sessions.delete_share(str(session.id))
print("stopped:", client.sessions.stop(str(session.id)).status.value)
client.sessions.delete(str(session.id))
