// Drives a server of agents' tools, which speaks MCP over its standard input and output, and a browser over CDP:
//   CDP_URL=ws://... SITE_URL=http://... node mcp.mjs playwright|chrome-devtools
import {spawn} from 'node:child_process';
import path from 'node:path';
import process from 'node:process';
import readline from 'node:readline';

const {CDP_URL, SITE_URL: site} = process.env;
const servers = {
  'playwright': {
    start: ['@playwright/mcp/cli.js', '--cdp-endpoint', CDP_URL],
    title: ['browser_evaluate', {function: '() => document.title'}],
    open: ['browser_navigate', {url: `${site}/`}],
    click: async () => ['browser_click', {element: 'the link', target: '#link'}],
    close: ['browser_close', {}],
  },
  'chrome-devtools': {
    start: [
      'chrome-devtools-mcp/build/src/bin/chrome-devtools-mcp.js',
      '--wsEndpoint',
      CDP_URL,
      '--no-usage-statistics',
      '--no-page-id-routing',
    ],
    title: ['evaluate_script', {function: '() => document.title'}],
    open: ['navigate_page', {type: 'url', url: `${site}/`}],
    click: async () => {
      const page = await call('take_snapshot', {});
      const [, uid] = page.match(/uid=(\S+) link "A second page"/) ?? [];
      return ['click', {uid}];
    },
  },
};
const wanted = servers[process.argv.at(-1)];
const [program, ...flags] = wanted.start;
const server = spawn(process.execPath, [path.resolve('node_modules', program), ...flags], {
  stdio: ['pipe', 'pipe', 'inherit'],
});

const waiting = new Map();
readline.createInterface({input: server.stdout}).on('line', line => {
  const message = JSON.parse(line);
  waiting.get(message.id)?.(message);
});
const send = message => server.stdin.write(`${JSON.stringify({jsonrpc: '2.0', ...message})}\n`);
let last = 0;
const request = (method, params) =>
  new Promise((resolve, reject) => {
    const id = ++last;
    waiting.set(id, ({result, error}) => (error ? reject(new Error(error.message)) : resolve(result)));
    send({id, method, params});
  });
const call = async (name, parameters) => {
  const {content, isError} = await request('tools/call', {name, arguments: parameters});
  const text = content.map(part => part.text ?? '').join('\n');
  if (isError) throw new Error(`${name}: ${text}`);
  return text;
};
const title = async () => (await call(...wanted.title)).match(/"(browser-operator[^"]*)"/)?.[1];

await request('initialize', {
  protocolVersion: '2025-03-26',
  capabilities: {},
  clientInfo: {name: 'browser-operator-tests', version: '1'},
});
send({method: 'notifications/initialized'});
await call(...wanted.open);
console.log('title:', await title());
await call(...(await wanted.click()));
console.log('clicked:', await title());
if (wanted.close) await call(...wanted.close);
const gone = new Promise(resolve => server.once('exit', resolve));
server.stdin.end();
await gone;
process.exit();
