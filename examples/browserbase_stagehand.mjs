// Stagehand for Browserbase, without the parts that need a model. It reads base URL and key from the environment. Without
// disableAPI it would send its work to another Browserbase service, which the gateway does not provide.
//
//   BROWSERBASE_BASE_URL=http://... BROWSERBASE_API_KEY=... SITE_URL=http://... node browserbase_stagehand.mjs
import process from 'node:process';
import {setInterval} from 'node:timers/promises';

import {Stagehand} from '@browserbasehq/stagehand';

const stagehand = new Stagehand({
  env: 'BROWSERBASE',
  apiKey: process.env.BROWSERBASE_API_KEY,
  disableAPI: true,
  verbose: 0,
  disablePino: true,
});
await stagehand.init();
console.log('session:', stagehand.browserbaseSessionID);
const [page] = stagehand.context.pages();
await page.goto(`${process.env.SITE_URL}/`);
console.log('title:', await page.title());
await page.locator('#name').fill('stagehand');
await page.locator('#submit').click();
// click() does not wait for the navigation, and reading a page that is being replaced is an error.
for await (const _ of setInterval(20, null, {signal: AbortSignal.timeout(10_000)})) {
  if (page.url().includes('second')) break;
}
await page.waitForSelector('#sent:not(:empty)');
console.log('sent:', await page.locator('#sent').textContent());
await stagehand.close();
process.exit();
