#!/usr/bin/env python3
"""A program for Browserbase, with Selenium, which connects to the session that the API created.

    BROWSERBASE_BASE_URL=http://... BROWSERBASE_API_KEY=... SITE_URL=http://... browserbase_selenium.py
"""

import os

from browserbase import Browserbase
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.remote_connection import RemoteConnection
from selenium.webdriver.support.ui import WebDriverWait


class BrowserbaseConnection(RemoteConnection):
    """Sends the session's signing key with every request."""

    def __init__(self, url, signing_key):
        super().__init__(url)
        self.signing_key = signing_key

    def get_remote_connection_headers(self, parsed_url, keep_alive=False):
        headers = super().get_remote_connection_headers(parsed_url, keep_alive)
        return headers | {"x-bb-signing-key": self.signing_key}


session = Browserbase().sessions.create()
print("session:", session.id)
connection = BrowserbaseConnection(session.selenium_remote_url, session.signing_key)
driver = webdriver.Remote(connection, options=webdriver.ChromeOptions())
try:
    print("joined:", driver.session_id)
    driver.get(f"{os.environ['SITE_URL']}/")
    print("title:", driver.title)
    driver.find_element(By.ID, "name").send_keys("selenium")
    driver.find_element(By.ID, "submit").click()
    said = WebDriverWait(driver, 10).until(lambda driver: driver.find_element(By.ID, "sent").text)
    print("sent:", said)
finally:
    driver.quit()
