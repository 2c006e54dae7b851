// A browser that is told of every mistake: console errors, requests to others, breaches of the content security policy.
//
// The Rust test that starts this (tests/it/browser.rs) says in AMENDS_WORLD what there is to see, and in AMENDS_BROWSER where
// .ci/tools has installed what drives the browser. Invariant: a page that breaks a rule fails its test, whatever the test looked for.

import assert from 'node:assert/strict';
import { accessSync, constants } from 'node:fs';
import { createRequire } from 'node:module';
import { delimiter, join } from 'node:path';

const folder = process.env.AMENDS_BROWSER ?? join(import.meta.dirname, '../../../target/browser');
const require = createRequire(join(folder, 'package.json'));

function needed(name) {
  try {
    return require(name);
  } catch (error) {
    throw new Error(`${name} is missing in ${folder}: run .ci/tools`, { cause: error });
  }
}

const { chromium } = needed('playwright-core');
export const axe = needed('axe-core');

/** What there is to see: `address`, and ids of sagas by how they stand. */
export const world = JSON.parse(process.env.AMENDS_WORLD ?? 'null');
if (!world) throw new Error('AMENDS_WORLD is missing: this is run by `cargo test -p amends-e2e --test it browser`');

/** A desk and a phone. */
export const WIDTHS = [1280, 390];
const HEIGHT = { 1280: 800, 390: 844 };
const PATIENCE_MS = 15_000;

function installed() {
  const found = (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, 'chromium')).find((path) => {
    try {
      accessSync(path, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
  if (!found) throw new Error('chromium is not on the search path: run .ci/tools');
  return found;
}

/** Starts the browser. Tests run as root in a container, where its own sandbox can't be set up. */
export function launch() {
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-background-networking', '--hide-scrollbars'];
  return chromium.launch({ executablePath: installed(), args });
}

/** A window of its own cookies in which somebody works. `mistakes` says what went wrong so far. */
export async function open(browser, width, { theme = 'light', name = 'mara', script = true } = {}) {
  const context = await browser.newContext({
    viewport: { width, height: HEIGHT[width] },
    colorScheme: theme,
    reducedMotion: 'reduce',
    locale: 'en-GB',
    timezoneId: 'UTC',
    javaScriptEnabled: script,
    baseURL: world.address,
  });
  context.setDefaultTimeout(PATIENCE_MS);
  if (name) await context.addCookies([{ name: 'amends-name', value: name, url: world.address }]);
  const page = await context.newPage();
  const mistakes = [];
  const expected = [];
  page.on('console', (message) => {
    const text = message.text();
    // A refused form answers 4xx: its test says so beforehand.
    if (message.type() === 'error' && !expected.some((words) => text.includes(words))) mistakes.push(`console: ${text}`);
  });
  page.on('pageerror', (error) => mistakes.push(`script: ${error.message}`));
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.origin !== new URL(world.address).origin) mistakes.push(`request to another host: ${request.url()}`);
  });
  page.on('dialog', (dialog) => mistakes.push(`a dialog: ${dialog.message()}`));
  await page.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`);
    });
  });
  return {
    page,
    context,
    mistakes,
    /** From now on errors with these words are part of the test. */
    expect: (words) => expected.push(words),
    /** Fails for anything that went wrong. */
    check: (where) => assert.deepEqual(mistakes.splice(0), [], where),
  };
}

/** Goes to a page of the console and waits until it is there; live pages never fall silent. */
export async function go(page, path, status = 200) {
  const answer = await page.goto(path, { waitUntil: 'load' });
  assert.equal(answer.status(), status, `${path} answers ${answer.status()}`);
  return answer;
}
