// Stagehand 4, as far as it goes here: it wants to bring its own extension along.
import process from 'node:process';

import Browserbase from '@browserbasehq/sdk';
import {browserbase} from 'stagehand-4';
import ws from 'ws';

// Node has its own from version 22 on, which is what Stagehand asks for.
globalThis.WebSocket ??= ws;
const {BROWSERBASE_BASE_URL: baseUrl, BROWSERBASE_API_KEY: apiKey} = process.env;
const why = error => `${error.message} ${error.cause?.message ?? ''}`;

await browserbase.launch({apiKey, baseUrl}).catch(error => console.log('launch:', why(error)));

// A session without it.
const bb = new Browserbase();
const {id: sessionId} = await bb.sessions.create();
console.log('session:', sessionId);
await browserbase.connect({apiKey, baseUrl, sessionId}).then(
  async browser => {
    console.log('connect: yes');
    await browser.close();
  },
  error => console.log('connect:', why(error)),
);
console.log('ended:', (await bb.sessions.update(sessionId, {status: 'REQUEST_RELEASE'})).status);
process.exit();
