// A stock Puppeteer client over WebDriver BiDi: a socket, on which it makes its own session.
//
//   GATEWAY_URL=http://... SITE_URL=http://... node puppeteer_bidi.mjs [file.png [folder of node_modules]]
import {createRequire} from 'node:module';
import path from 'node:path';
import process from 'node:process';

const [file, folder = process.cwd()] = process.argv.slice(2);
const require = createRequire(path.join(folder, 'package.json'));
const {default: puppeteer} = await import(require.resolve('puppeteer-core'));
const {GATEWAY_URL: gateway, SITE_URL: site} = process.env;

const browser = await puppeteer.connect({
  browserWSEndpoint: `${gateway.replace(/^http/, 'ws')}/session`,
  protocol: 'webDriverBiDi',
});
try {
  const page = await browser.newPage();
  const heard = new Promise(resolve => page.once('console', message => resolve(message.text())));

  await page.goto(`${site}/`);
  console.log('title:', await page.title());
  await page.type('#name', 'puppeteer');
  await Promise.all([page.waitForNavigation(), page.click('#submit')]);
  console.log('sent:', await page.$eval('#sent', element => element.textContent));

  await page.evaluate(text => console.log(text), 'hello from the page');
  console.log('console:', await heard);

  if (file) {
    await page.screenshot({path: file});
    console.log('screenshot:', file);
  }
} finally {
  await browser.close();
}
