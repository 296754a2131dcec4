// A program for Browserbase, with Puppeteer. The SDK reads base URL and key from the environment.
//
//   BROWSERBASE_BASE_URL=http://... BROWSERBASE_API_KEY=... SITE_URL=http://... node browserbase_puppeteer.mjs
import process from 'node:process';

import Browserbase from '@browserbasehq/sdk';
import puppeteer from 'puppeteer-core';

const {SITE_URL: site} = process.env;
const bb = new Browserbase();

const session = await bb.sessions.create({keepAlive: true});
console.log('session:', session.id);
const browser = await puppeteer.connect({browserWSEndpoint: session.connectUrl});
const [page] = await browser.pages();
await page.goto(`${site}/`);
console.log('title:', await page.title());
await page.type('#name', 'puppeteer');
await Promise.all([page.waitForNavigation(), page.click('#submit')]);
console.log('sent:', await page.$eval('#sent', element => element.textContent));
await browser.disconnect();

console.log('ended:', (await bb.sessions.update(session.id, {status: 'REQUEST_RELEASE'})).status);
