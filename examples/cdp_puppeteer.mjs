// Puppeteer with only the gateway's URL: its request for /json/version creates a session. Puppeteer sends no key with that
// request, so the gateway needs an anonymous namespace.
//
//   GATEWAY_URL=http://... SITE_URL=http://... node cdp_puppeteer.mjs
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const {GATEWAY_URL: browserURL, SITE_URL: site} = process.env;
const browser = await puppeteer.connect({browserURL});
// The socket's URL contains the id.
console.log('session:', new URL(browser.wsEndpoint()).pathname.split('/')[2]);
const [page] = await browser.pages();
await page.goto(`${site}/`);
console.log('title:', await page.title());
await page.type('#name', 'puppeteer');
await Promise.all([page.waitForNavigation(), page.click('#submit')]);
console.log('sent:', await page.$eval('#sent', element => element.textContent));
await browser.close();
