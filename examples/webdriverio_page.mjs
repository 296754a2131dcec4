// An unmodified WebdriverIO client, without its test runner.
//
//   GATEWAY_URL=http://... SITE_URL=http://... [BROWSER=firefox] node webdriverio_page.mjs [file.png]
import path from 'node:path';
import process from 'node:process';

import {remote} from 'webdriverio';

const {GATEWAY_URL, SITE_URL: site, BROWSER: browserName = 'chrome'} = process.env;
const {protocol, hostname, port} = new URL(GATEWAY_URL);
const picture = path.resolve(process.argv[2] ?? 'page.png');

const browser = await remote({
  protocol: protocol.replace(':', ''),
  hostname,
  port: Number(port) || (protocol === 'https:' ? 443 : 80),
  logLevel: 'error',
  waitforTimeout: 20_000,
  capabilities: {browserName},
});
try {
  console.log('session:', browser.sessionId);
  // Waits until an element has a text, and returns it.
  const text = async id => {
    await browser.waitUntil(async () => (await browser.$(id).getText()) !== '');
    return browser.$(id).getText();
  };
  const heard = new Promise(resolve => browser.once('log.entryAdded', entry => resolve(entry.text)));

  await browser.url(`${site}/`);
  console.log('title:', await browser.getTitle());
  await browser.$('#name').setValue('webdriverio');
  await browser.$('#submit').click();
  console.log('sent:', await text('#sent'));

  console.log('browser:', await browser.execute(() => navigator.userAgent));
  await browser.execute(message => console.log(message), 'hello from the page');
  console.log('console:', await heard);

  await browser.saveScreenshot(picture);
  console.log('screenshot:', picture);

  await browser.url(`${site}/alert.html`);
  browser.once('dialog', async dialog => {
    console.log('alert:', dialog.message());
    await dialog.accept();
  });
  await browser.$('#open').click();
  await browser.waitUntil(async () => (await browser.$('#closed').getText()) === '1');

  // The file is on this machine and the browser in a pod.
  await browser.url(`${site}/upload.html`);
  await browser.$('#file').setValue(await browser.uploadFile(picture));
  console.log('uploaded:', await text('#read'));

  const answer = await browser.mock(`${site}/answer.txt`);
  answer.respond('hello from the client', {statusCode: 200});
  await browser.url(`${site}/fetch.html`);
  await answer.waitForResponse();
  console.log('intercepted:', await text('#answer'));
} finally {
  await browser.deleteSession();
}
