// A program for Browser Use's cloud, with Puppeteer. The SDK reads the key from the environment.
//
//   GATEWAY_URL=http://... BROWSER_USE_API_KEY=... SITE_URL=http://... node browser_use_puppeteer.mjs
import process from 'node:process';

import {BrowserUse} from 'browser-use-sdk/v3';
import puppeteer from 'puppeteer-core';

const {GATEWAY_URL: gateway, SITE_URL: site} = process.env;
const client = new BrowserUse({baseUrl: `${gateway}/api/v3`});

const made = await client.browsers.create({timeout: 5, browserScreenWidth: 1024, browserScreenHeight: 768});
console.log('session:', made.id);
// Puppeteer's browserURL drops the path, which identifies the browser, so use the socket's URL.
const browser = await puppeteer.connect({browserWSEndpoint: made.cdpUrl.replace(/^http/, 'ws')});
const [page] = await browser.pages();
await page.goto(`${site}/`);
console.log('title:', await page.title());
await page.type('#name', 'puppeteer');
await Promise.all([page.waitForNavigation(), page.click('#submit')]);
console.log('sent:', await page.$eval('#sent', element => element.textContent));
await browser.disconnect();
console.log('ended:', (await client.browsers.stop(made.id)).status);
