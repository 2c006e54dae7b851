// What an editor offers with the published schemas: drives the real yaml-language-server over LSP on stdio.
//
//   node completion.mjs FOLDER      FOLDER/node_modules has the server (.ci/tools installs it)
//
// The documents are never saved: they only say where they would lie, beside the example, and name their schema in their first
// line as the examples do. Fails if a field isn't offered, isn't explained, or if a mistake isn't underlined.

import { spawn } from 'node:child_process';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';

const root = resolve(import.meta.dirname, '../../../..');
const folder = resolve(process.argv[2] ?? `${root}/target/editor`);
const SCHEMAS = '../../coordinator/definition/schema';
const GUARD_MS = 60_000;

const server = spawn(process.execPath, [`${folder}/node_modules/yaml-language-server/bin/yaml-language-server`, '--stdio'], {
  stdio: ['pipe', 'pipe', 'inherit'],
});
const guard = setTimeout(() => fail('the language server gives no answer'), GUARD_MS);
const waiting = new Map();
const diagnostics = new Map();
let numbered = 0;
let received = Buffer.alloc(0);

server.stdout.on('data', (data) => {
  received = Buffer.concat([received, data]);
  for (;;) {
    const end = received.indexOf('\r\n\r\n');
    const length = Number(/Content-Length: (\d+)/i.exec(received.subarray(0, Math.max(end, 0)).toString())?.[1]);
    if (end < 0 || received.length < end + 4 + length) return;
    const message = JSON.parse(received.subarray(end + 4, end + 4 + length).toString());
    received = received.subarray(end + 4 + length);
    take(message);
  }
});

function take(message) {
  if (message.method === 'textDocument/publishDiagnostics') {
    diagnostics.set(message.params.uri, message.params.diagnostics);
  } else if (message.method && message.id !== undefined) {
    // The server asks for its configuration; there is none but the document's own.
    const result = message.method === 'workspace/configuration' ? message.params.items.map(() => ({})) : null;
    send({ id: message.id, result });
  } else if (message.id !== undefined) {
    waiting.get(message.id)?.(message.result);
  }
}

function send(message) {
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...message }));
  server.stdin.write(`Content-Length: ${body.length}\r\n\r\n`);
  server.stdin.write(body);
}

function ask(method, params) {
  const id = ++numbered;
  send({ id, method, params });
  return new Promise((answered) => waiting.set(id, answered));
}

function fail(message) {
  console.error(message);
  server.kill();
  process.exit(1);
}

/// Opens a text; `¦` marks the cursor.
function open(name, schema, text) {
  const marked = `# yaml-language-server: $schema=${SCHEMAS}/${schema}\n${text}`;
  const before = marked.slice(0, marked.indexOf('¦')).split('\n');
  const uri = pathToFileURL(`${root}/examples/checkout/${name}`).href;
  const whole = marked.replace('¦', '');
  send({ method: 'textDocument/didOpen', params: { textDocument: { uri, languageId: 'yaml', version: 1, text: whole } } });
  return { textDocument: { uri }, position: { line: before.length - 1, character: before.at(-1).length } };
}

async function offered(name, schema, text, wanted) {
  const answer = await ask('textDocument/completion', open(name, schema, text));
  const items = (answer?.items ?? answer ?? []).map((item) => item.label);
  console.log(`${name}: ${items.join(', ')}`);
  const missing = wanted.filter((word) => !items.includes(word));
  if (missing.length > 0) fail(`${name}: not offered: ${missing.join(', ')}`);
}

async function explained(name, schema, text, wanted) {
  const answer = await ask('textDocument/hover', open(name, schema, text));
  const contents = answer?.contents?.value ?? '';
  console.log(`${name}: ${contents.split('\n').filter(Boolean).join(' ')}`);
  if (!contents.includes(wanted)) fail(`${name}: the explanation lacks ${JSON.stringify(wanted)}`);
}

async function underlined(name, schema, text, wanted) {
  const at = open(name, schema, text);
  while (!diagnostics.get(at.textDocument.uri)?.length) await new Promise((wait) => setTimeout(wait, 50));
  const found = diagnostics.get(at.textDocument.uri).map((one) => `${one.range.start.line + 1}: ${one.message}`);
  console.log(`${name}: ${found.join(' | ')}`);
  if (!found.some((message) => message.includes(wanted))) fail(`${name}: not underlined: ${wanted}`);
}

const DEFINITION = 'amends-definition.schema.json';
const SCENARIOS = 'amends-scenarios.schema.json';
const step = 'saga: checkout\nsteps:\n  - step: charge\n    participant: payment\n';

await ask('initialize', {
  processId: process.pid,
  rootUri: pathToFileURL(root).href,
  capabilities: { textDocument: { completion: { completionItem: { snippetSupport: true } }, hover: {} }, workspace: { configuration: true } },
});
send({ method: 'initialized', params: {} });

await offered('top.saga.yaml', DEFINITION, 'saga: checkout\n¦', ['timeout', 'labels', 'input', 'steps']);
await offered('step.saga.yaml', DEFINITION, `${step}    ¦`, ['action', 'compensate', 'try', 'confirm', 'cancel', 'query', 'pivot', 'after', 'when', 'within']);
await offered('begun.saga.yaml', DEFINITION, `${step}    action: { call: a.B/C }\n    ¦`, ['compensate', 'pivot', 'query', 'within']);
await offered('call.saga.yaml', DEFINITION, `${step}    action:\n      ¦`, ['call', 'http', 'headers', 'request', 'timeout', 'retry', 'codes', 'rejected_when', 'pending_when']);
await offered('retry.saga.yaml', DEFINITION, `${step}    action:\n      call: a.B/C\n      retry:\n        ¦`, ['max_attempts', 'initial', 'max', 'multiplier']);
await offered('codes.saga.yaml', DEFINITION, `${step}    action:\n      call: a.B/C\n      codes:\n        ABORTED: ¦`, ['succeeded', 'rejected', 'pending', 'unknown']);
await explained('hover.saga.yaml', DEFINITION, `${step}    piv¦ot: true\n    action: { call: a.B/C }\n`, 'point of no return');
await underlined('wrong.saga.yaml', DEFINITION, `${step}    action: { call: a.B/C }\n    compensation: x¦\n`, 'compensation');

const scenario = 'definition: checkout.saga.yaml\nscenarios:\n  - scenario: a\n';
await offered('scenario.scenarios.yaml', SCENARIOS, `${scenario}    ¦`, ['input', 'replies', 'events', 'expect']);
await offered('ends.scenarios.yaml', SCENARIOS, `${scenario}    expect:\n      ends: ¦`, ['completed', 'compensated', 'stuck', 'waiting']);
await offered('reply.scenarios.yaml', SCENARIOS, `${scenario}    replies:\n      charge:\n        action:\n          ¦`, ['succeeds', 'rejects', 'times_out', 'pending']);

clearTimeout(guard);
server.kill();
