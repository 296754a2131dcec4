// Puppeteer with nothing but the gateway's URL: it asks for /json/version, and that makes a session of its own. It sends
// no key there, so this is for a gateway that takes clients without one.
//
//   GATEWAY_URL=http://... SITE_URL=http://... node cdp_puppeteer.mjs
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const {GATEWAY_URL: browserURL, SITE_URL: site} = process.env;
const browser = await puppeteer.connect({browserURL});
// The id stands in the socket's URL.
console.log('session:', new URL(browser.wsEndpoint()).pathname.split('/')[2]);
const [page] = await browser.pages();
await page.goto(`${site}/`);
console.log('title:', await page.title());
await page.type('#name', 'puppeteer');
await Promise.all([page.waitForNavigation(), page.click('#submit')]);
console.log('sent:', await page.$eval('#sent', element => element.textContent));
await browser.close();
