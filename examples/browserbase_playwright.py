#!/usr/bin/env python3
"""A program for Browserbase, with Playwright. Base URL: the gateway's. Key: from `browser-operator key create`.

    BROWSERBASE_BASE_URL=http://... BROWSERBASE_API_KEY=... SITE_URL=http://... browserbase_playwright.py
"""

import os

from browserbase import Browserbase
from playwright.sync_api import sync_playwright

site, build = os.environ["SITE_URL"], os.environ.get("BUILD", "none")
# The SDK reads base URL and key from the environment.
bb = Browserbase()

session = bb.sessions.create(
    timeout=300,
    keep_alive=True,
    user_metadata={"build": build},
    browser_settings={"viewport": {"width": 1280, "height": 720}},
)
print("session:", session.id)
print("status:", session.status)
found = bb.sessions.list(status="RUNNING", q=f"user_metadata['build']:'{build}'")
print("found:", *(one.id for one in found))

with sync_playwright() as playwright:
    browser = playwright.chromium.connect_over_cdp(session.connect_url)
    # The browser starts with one context and one page.
    page = browser.contexts[0].pages[0]
    page.goto(f"{site}/")
    print("title:", page.title())
    page.fill("#name", "playwright")
    page.click("#submit")
    # The page's script writes the text.
    page.locator("#sent:not(:empty)").wait_for()
    print("sent:", page.text_content("#sent"))
    print("viewport:", page.evaluate("`${innerWidth}x${innerHeight}`"))
    print("debug:", bb.sessions.debug(session.id).pages[0].title)
    browser.close()

# With keep_alive the session outlives its connections, until it is released.
print("kept:", bb.sessions.retrieve(session.id).status)
print("ended:", bb.sessions.update(session.id, status="REQUEST_RELEASE").status)
project = bb.projects.list()[0]
print("project:", project.name)
print("minutes:", bb.projects.usage(project.id).browser_minutes)
