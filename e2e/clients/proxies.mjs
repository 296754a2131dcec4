// Both services' clients for Node ask for a proxy with a password.
//
//   PROXY=host:port PROXY_USERNAME=... PROXY_PASSWORD=... SITE_URL=http://... node proxies.mjs
import process from 'node:process';

import Browserbase from '@browserbasehq/sdk';
import {BrowserUse} from 'browser-use-sdk';
import {chromium} from 'playwright-core';

const {GATEWAY_URL: gateway, SITE_URL: site, PROXY: proxy} = process.env;
const {PROXY_USERNAME: username, PROXY_PASSWORD: password} = process.env;
const [host, port] = proxy.split(':');

async function title(url) {
  const browser = await chromium.connectOverCDP(url);
  const page = browser.contexts()[0].pages()[0];
  await page.goto(`${site}/`);
  const title = await page.title();
  await browser.close();
  return title;
}

const bb = new Browserbase();
const session = await bb.sessions.create({
  keepAlive: true,
  proxies: [{type: 'external', server: `http://${proxy}`, username, password}],
});
console.log('browserbase:', session.id);
console.log('browserbase title:', await title(session.connectUrl));
console.log('browserbase bytes:', (await bb.sessions.retrieve(session.id)).proxyBytes);
await bb.sessions.update(session.id, {status: 'REQUEST_RELEASE'});

const bu = new BrowserUse({baseUrl: `${gateway}/api/v2`});
const browser = await bu.browsers.create({
  customProxy: {host, port: Number(port), username, password},
});
console.log('browser use:', browser.id);
console.log('browser use title:', await title(browser.cdpUrl));
console.log('browser use megabytes:', (await bu.browsers.get(browser.id)).proxyUsedMb);
await bu.browsers.stop(browser.id);
