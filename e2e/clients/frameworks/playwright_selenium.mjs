// Playwright, which takes a Selenium Grid for its browser:
//   SELENIUM_REMOTE_URL=http://... SELENIUM_REMOTE_HEADERS='{"Authorization": "Bearer KEY"}' SITE_URL=http://... node ...
import process from 'node:process';

import {chromium} from 'playwright-core';

const browser = await chromium.launch();
const page = await browser.newPage();
await page.goto(`${process.env.SITE_URL}/`);
console.log('title:', await page.title());
await page.click('#link');
await page.waitForURL('**/second.html');
console.log('clicked:', await page.title());
await browser.close();
