// An unmodified Selenium client, with the gateway as its remote WebDriver.
//
//   GATEWAY_URL=http://... SITE_URL=http://... [BROWSER=firefox] node selenium_page.mjs [file.png]
import {writeFile} from 'node:fs/promises';
import path from 'node:path';
import process from 'node:process';

import {Builder, By, until} from 'selenium-webdriver';
import {AddInterceptParameters} from 'selenium-webdriver/bidi/addInterceptParameters.js';
import {InterceptPhase} from 'selenium-webdriver/bidi/interceptPhase.js';
import {Network} from 'selenium-webdriver/bidi/network.js';
import {BytesValue} from 'selenium-webdriver/bidi/networkTypes.js';
import {ProvideResponseParameters} from 'selenium-webdriver/bidi/provideResponseParameters.js';
import {FileDetector} from 'selenium-webdriver/remote/index.js';

const {GATEWAY_URL: gateway, SITE_URL: site, BROWSER: name = 'chrome'} = process.env;
const picture = path.resolve(process.argv[2] ?? 'page.png');

const driver = await new Builder()
  .usingServer(gateway)
  .forBrowser(name)
  .setCapability('webSocketUrl', true)
  // With BiDi on, a browser closes alerts by itself unless this capability says otherwise.
  .setAlertBehavior('ignore')
  .build();
try {
  console.log('session:', (await driver.getSession()).getId());
  // Waits until an element has a text, and returns it.
  const text = async id => {
    const element = await driver.wait(until.elementLocated(By.id(id)), 10_000);
    await driver.wait(until.elementTextMatches(element, /./), 10_000);
    return element.getText();
  };
  const messages = [];
  await driver.script().addConsoleMessageHandler(entry => messages.push(entry.text));

  await driver.get(`${site}/`);
  console.log('title:', await driver.getTitle());
  await driver.findElement(By.id('name')).sendKeys('selenium');
  await driver.findElement(By.id('submit')).click();
  console.log('sent:', await text('sent'));

  console.log('browser:', await driver.executeScript('return navigator.userAgent'));
  await driver.executeScript('console.log(arguments[0])', 'hello from the page');
  await driver.wait(() => messages.length > 0, 10_000);
  console.log('console:', messages[0]);

  await writeFile(picture, await driver.takeScreenshot(), 'base64');
  console.log('screenshot:', picture);

  await driver.get(`${site}/alert.html`);
  await driver.findElement(By.id('open')).click();
  const alert = await driver.wait(until.alertIsPresent(), 10_000);
  console.log('alert:', await alert.getText());
  await alert.accept();

  // The file is on this machine and the browser in a pod: Selenium uploads it.
  driver.setFileDetector(new FileDetector());
  await driver.get(`${site}/upload.html`);
  await driver.findElement(By.id('file')).sendKeys(picture);
  console.log('uploaded:', await text('read'));

  const answer = `${site}/answer.txt`;
  const network = await Network(driver);
  await network.addIntercept(
    new AddInterceptParameters(InterceptPhase.BEFORE_REQUEST_SENT).urlStringPattern(answer),
  );
  let provided;
  await network.beforeRequestSent(({request}) => {
    if (request.url === answer) {
      const body = new BytesValue(BytesValue.Type.STRING, 'hello from the client');
      provided = network.provideResponse(
        new ProvideResponseParameters(request.request).statusCode(200).body(body),
      );
    }
  });
  await driver.get(`${site}/fetch.html`);
  console.log('intercepted:', await text('answer'));
  // The page may get its response before the command that sent it has returned. quit() would interrupt that command.
  await provided;
} finally {
  await driver.quit();
}
