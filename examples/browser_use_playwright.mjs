// A program for Browser Use's cloud, with Playwright. The SDK reads the key from the environment.
//
//   GATEWAY_URL=http://... BROWSER_USE_API_KEY=... SITE_URL=http://... node browser_use_playwright.mjs
import process from 'node:process';

import {BrowserUse} from 'browser-use-sdk';
import {chromium} from 'playwright-core';

const {GATEWAY_URL: gateway, SITE_URL: site} = process.env;
const client = new BrowserUse({baseUrl: `${gateway}/api/v2`});

const session = await client.sessions.create({startUrl: `${site}/`, proxyCountryCode: null});
console.log('session:', session.id);
// Every session is also a browser, which has a URL for CDP.
const {cdpUrl} = await client.browsers.get(session.id);
const browser = await chromium.connectOverCDP(cdpUrl);
const page = browser.contexts()[0].pages()[0];
console.log('title:', await page.title());
await page.fill('#name', 'playwright');
await page.click('#submit');
// The page's script writes the text.
await page.locator('#sent:not(:empty)').waitFor();
console.log('sent:', await page.textContent('#sent'));
await browser.close();
console.log('ended:', (await client.sessions.stop(session.id)).status);
