// An unmodified Puppeteer client over WebDriver BiDi. It opens a socket and creates its session on it.
//
//   GATEWAY_URL=http://... SITE_URL=http://... [BROWSER=firefox] [BUILD=4711] node puppeteer_bidi.mjs [file.png]
import path from 'node:path';
import process from 'node:process';

import puppeteer from 'puppeteer-core';

const {GATEWAY_URL: gateway, SITE_URL: site, BROWSER: browserName = 'chrome', BUILD: build = 'none'} = process.env;
const picture = path.resolve(process.argv[2] ?? 'page.png');

const browser = await puppeteer.connect({
  browserWSEndpoint: `${gateway.replace(/^http/, 'ws')}/session`,
  protocol: 'webDriverBiDi',
  // Puppeteer does not expose the session's id. kubectl finds the session by its metadata instead.
  capabilities: {alwaysMatch: {browserName, 'browser-operator:userMetadata': {build}}},
});
try {
  const page = await browser.newPage();
  // Waits until an element has a text, and returns it.
  const text = async id => {
    await page.waitForFunction(id => document.querySelector(id)?.textContent, {}, id);
    return page.$eval(id, element => element.textContent);
  };
  const heard = new Promise(resolve => page.once('console', message => resolve(message.text())));

  await page.goto(`${site}/`);
  console.log('title:', await page.title());
  await page.type('#name', 'puppeteer');
  await Promise.all([page.waitForNavigation(), page.click('#submit')]);
  console.log('sent:', await text('#sent'));

  console.log('browser:', await page.evaluate(() => navigator.userAgent));
  await page.evaluate(message => console.log(message), 'hello from the page');
  console.log('console:', await heard);

  await page.screenshot({path: picture});
  console.log('screenshot:', picture);

  await page.goto(`${site}/alert.html`);
  page.once('dialog', async dialog => {
    console.log('alert:', dialog.message());
    await dialog.accept();
  });
  await page.click('#open');
  await page.waitForFunction(() => document.querySelector('#closed').textContent === '1');

  // BiDi does not upload files. This path is in the browser's pod.
  await page.goto(`${site}/upload.html`);
  await (await page.$('#file')).uploadFile('/etc/debian_version');
  console.log('uploaded:', await text('#read'));

  await page.setRequestInterception(true);
  const handled = [];
  page.on('request', request => {
    const isAnswered = request.url() === `${site}/answer.txt`;
    const answer = {status: 200, body: 'hello from the client'};
    handled.push(isAnswered ? request.respond(answer) : request.continue());
  });
  await page.goto(`${site}/fetch.html`);
  console.log('intercepted:', await text('#answer'));
  // The page may get its response before the command that sent it has returned. close() would interrupt that command.
  await Promise.all(handled);
} finally {
  await browser.close();
}
