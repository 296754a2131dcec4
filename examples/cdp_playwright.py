#!/usr/bin/env python3
"""Playwright with only the gateway's URL: its request for /json/version creates a session.

    GATEWAY_URL=http://... SITE_URL=http://... [API_KEY=...] cdp_playwright.py
"""

import os

from playwright.sync_api import sync_playwright

key = os.environ.get("API_KEY")
headers = {"Authorization": f"Bearer {key}"} if key else {}
with sync_playwright() as playwright:
    browser = playwright.chromium.connect_over_cdp(os.environ["GATEWAY_URL"], headers=headers)
    page = browser.contexts[0].pages[0]
    page.goto(f"{os.environ['SITE_URL']}/")
    print("title:", page.title())
    page.fill("#name", "playwright")
    page.click("#submit")
    # The page's script writes the text.
    page.locator("#sent:not(:empty)").wait_for()
    print("sent:", page.text_content("#sent"))
    browser.close()
