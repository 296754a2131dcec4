// A program for Browserbase, with Playwright. The SDK reads base URL and key from the environment.
//
//   BROWSERBASE_BASE_URL=http://... BROWSERBASE_API_KEY=... SITE_URL=http://... node browserbase_playwright.mjs
import process from 'node:process';

import Browserbase from '@browserbasehq/sdk';
import {chromium} from 'playwright-core';

const {SITE_URL: site, BUILD: build = 'none'} = process.env;
const bb = new Browserbase();

const session = await bb.sessions.create({userMetadata: {build}});
console.log('session:', session.id);
const found = await bb.sessions.list({status: 'RUNNING', q: `user_metadata['build']:'${build}'`});
console.log('found:', ...found.map(one => one.id));

const browser = await chromium.connectOverCDP(session.connectUrl);
const page = browser.contexts()[0].pages()[0];
await page.goto(`${site}/`);
console.log('title:', await page.title());
await page.fill('#name', 'playwright');
await page.click('#submit');
// The page's script writes the text.
await page.locator('#sent:not(:empty)').waitFor();
console.log('sent:', await page.textContent('#sent'));
// keepAlive is false by default, so this ends the session.
await browser.close();
