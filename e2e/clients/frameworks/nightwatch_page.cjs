module.exports = {
  'a link leads to the second page': async browser => {
    await browser.url(`${process.env.SITE_URL}/`);
    console.log(`\ntitle: ${await browser.getTitle()}`);
    await browser.click('#link');
    await browser.waitUntil(async () => (await browser.getTitle()).includes('second'), 10_000);
    console.log(`\nclicked: ${await browser.getTitle()}`);
    await browser.end();
  },
};
