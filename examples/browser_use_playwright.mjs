// A program for Browser Use's cloud, with Playwright. The key is read from the environment.
//
//   GATEWAY_URL=http://... BROWSER_USE_API_KEY=... SITE_URL=http://... node browser_use_playwright.mjs
import process from 'node:process';

import {BrowserUse} from 'browser-use-sdk';
import {chromium} from 'playwright-core';

const {GATEWAY_URL: gateway, SITE_URL: site} = process.env;
const client = new BrowserUse({baseUrl: `${gateway}/api/v2`});

const session = await client.sessions.create({startUrl: `${site}/`, proxyCountryCode: null});
console.log('session:', session.id);
// A session is a browser, too, and that one's URL is for CDP.
const {cdpUrl} = await client.browsers.get(session.id);
const browser = await chromium.connectOverCDP(cdpUrl);
const page = browser.contexts()[0].pages()[0];
console.log('title:', await page.title());
await page.fill('#name', 'playwright');
await page.click('#submit');
// What it says is written by the page's script.
await page.locator('#sent:not(:empty)').waitFor();
console.log('sent:', await page.textContent('#sent'));
await browser.close();
console.log('ended:', (await client.sessions.stop(session.id)).status);
