#!/usr/bin/env python3
"""A stock Selenium client: a remote WebDriver like any other.

    GATEWAY_URL=http://... SITE_URL=http://... selenium_page.py [file.png]
"""

import os
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

gateway, site = os.environ["GATEWAY_URL"], os.environ["SITE_URL"]
options = webdriver.ChromeOptions()
options.enable_bidi = True

with webdriver.Remote(command_executor=gateway, options=options) as driver:
    print("session:", driver.session_id)
    messages = []
    driver.script.add_console_message_handler(lambda entry: messages.append(entry.text))

    driver.implicitly_wait(10)
    driver.get(f"{site}/")
    print("title:", driver.title)
    driver.find_element(By.ID, "name").send_keys("selenium")
    driver.find_element(By.ID, "submit").click()
    print("sent:", driver.find_element(By.ID, "sent").text)

    driver.execute_script("console.log(arguments[0])", "hello from the page")
    WebDriverWait(driver, 10).until(lambda _: messages)
    print("console:", messages[0])

    if len(sys.argv) > 1:
        driver.save_screenshot(sys.argv[1])
        print("screenshot:", sys.argv[1])
