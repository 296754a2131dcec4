#!/usr/bin/env python3
"""An unmodified Selenium client, with the gateway as its remote WebDriver.

    GATEWAY_URL=http://... SITE_URL=http://... [BROWSER=firefox] selenium_page.py [file.png]
"""

import os
import sys

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support import expected_conditions
from selenium.webdriver.support.ui import WebDriverWait

gateway, site = os.environ["GATEWAY_URL"], os.environ["SITE_URL"]
picture = os.path.abspath(sys.argv[1] if len(sys.argv) > 1 else "page.png")
firefox = os.environ.get("BROWSER") == "firefox"
options = webdriver.FirefoxOptions() if firefox else webdriver.ChromeOptions()
options.enable_bidi = True
# With BiDi on, a browser closes alerts by itself unless this capability says otherwise.
options.unhandled_prompt_behavior = "ignore"

with webdriver.Remote(command_executor=gateway, options=options) as driver:
    print("session:", driver.session_id)
    wait = WebDriverWait(driver, 10)
    messages = []
    driver.script.add_console_message_handler(lambda entry: messages.append(entry.text))

    driver.get(f"{site}/")
    print("title:", driver.title)
    driver.find_element(By.ID, "name").send_keys("selenium")
    driver.find_element(By.ID, "submit").click()
    print("sent:", wait.until(lambda driver: driver.find_element(By.ID, "sent").text))

    print("browser:", driver.execute_script("return navigator.userAgent"))
    driver.execute_script("console.log(arguments[0])", "hello from the page")
    wait.until(lambda _: messages)
    print("console:", messages[0])

    driver.save_screenshot(picture)
    print("screenshot:", picture)

    driver.get(f"{site}/alert.html")
    driver.find_element(By.ID, "open").click()
    alert = wait.until(expected_conditions.alert_is_present())
    print("alert:", alert.text)
    alert.accept()

    # The file is on this machine and the browser in a pod: Selenium uploads it.
    driver.get(f"{site}/upload.html")
    driver.find_element(By.ID, "file").send_keys(picture)
    print("uploaded:", wait.until(lambda driver: driver.find_element(By.ID, "read").text))

    driver.network.add_request_handler(
        [f"{site}/answer.txt"],
        lambda request: request.provide_response(status=200, body="hello from the client"),
    )
    driver.get(f"{site}/fetch.html")
    print("intercepted:", wait.until(lambda driver: driver.find_element(By.ID, "answer").text))
