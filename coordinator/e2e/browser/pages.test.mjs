// Every page at the width of a desk and of a phone, in light and dark, and what can be reached from them.
//
// It changes nothing. Invariant: a page that can be reached by links from the home page is looked at, without being listed here.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { hasShape, isAccessible, isDark, showsText, worksByKeyboard } from './checks.mjs';
import { go, launch, open, WIDTHS, world } from './harness.mjs';
import { PAGES } from './sitemap.mjs';

/** How many pages of a kind are looked at. */
const OF_A_KIND = 2;
const CRAWLED_MAX = 80;

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

/** A window for one look. */
async function windowOf(width, theme) {
  const { page, context, check } = await open(browser, width, { theme });
  return { page, check, close: () => context.close() };
}

for (const { name, path, shows } of PAGES) {
  test(name, async () => {
    for (const width of WIDTHS) {
      const { page, check, close } = await windowOf(width, 'light');
      await go(page, path);
      const text = await page.locator('main').innerText();
      for (const words of shows ?? []) assert.ok(text.includes(words), `${path} doesn't show ${words}:\n${text}`);
      await hasShape(page);
      await isAccessible(page);
      await showsText(page);
      if (width === WIDTHS[0]) await worksByKeyboard(page);
      check(`${path} at ${width}`);
      await close();
    }
    const { page, check, close } = await windowOf(WIDTHS[0], 'dark');
    await go(page, path);
    await isDark(page);
    await isAccessible(page, ['color-contrast']);
    check(`${path} in the dark`);
    await close();
  });
}

test('the policy forbids inline scripts and styles, and other hosts', async () => {
  const { page, context } = await open(browser, 1280);
  const policy = (await go(page, '/console')).headers()['content-security-policy'];
  assert.match(policy, /default-src 'none'/);
  assert.match(policy, /script-src 'self'(;|$)/);
  assert.match(policy, /style-src 'self'(;|$)/);
  assert.doesNotMatch(policy, /unsafe|\*|https?:/);
  // The harness must notice a breach, or none of the other tests says anything.
  const { page: other, mistakes } = await open(browser, 1280);
  await go(other, '/console');
  await other.evaluate(() => document.body.append(Object.assign(document.createElement('script'), { textContent: 'pwned = 1' })));
  await other.evaluate(() => void fetch('http://127.0.0.2:9/').catch(() => {}));
  await assert.doesNotReject(other.waitForTimeout(100));
  assert.ok(mistakes.some((it) => it.includes('policy')), `no breach was noticed: ${mistakes}`);
  await context.close();
});

/** `/console/sagas/order-1?x=1` as `/console/sagas/*?x`: pages that only differ by an id are of a kind. */
function kind(url) {
  const ids = new Set(PAGES.flatMap((it) => it.path.split('?')[0].split('/').slice(3)));
  const path = url.pathname.split('/').map((part, depth) => (depth > 2 && !ids.has(part) ? '*' : part)).join('/');
  return `${path}?${[...new Set(url.searchParams.keys())].sort().join('&')}`;
}

test('whatever can be reached by links is in order', { timeout: 600_000 }, async () => {
  const { page, context, check } = await open(browser, 390);
  const [seen, kinds, queue] = [new Set(), new Map(), ['/console']];
  while (queue.length && seen.size < CRAWLED_MAX) {
    const path = queue.shift();
    const url = new URL(path, world.address);
    if (seen.has(path) || (kinds.get(kind(url)) ?? 0) >= OF_A_KIND) continue;
    seen.add(path);
    kinds.set(kind(url), (kinds.get(kind(url)) ?? 0) + 1);
    await go(page, path);
    await hasShape(page);
    await showsText(page);
    check(path);
    const links = await page.locator('a[href]:not([download])').evaluateAll((all) => all.map((a) => a.href));
    for (const link of links) {
      const to = new URL(link);
      if (to.origin === url.origin && to.pathname.startsWith('/console')) queue.push(to.pathname + to.search);
    }
  }
  console.log(`${seen.size} pages: ${[...seen].join(' ')}`);
  for (const { path } of PAGES) {
    assert.ok([...kinds.keys()].includes(kind(new URL(path, world.address))) || PAGES.find((it) => it.path === path).unlinked, `no link leads to ${path}`);
  }
  await context.close();
});

test('everything can be read without scripts', async () => {
  const { page, context } = await open(browser, 1280, { script: false });
  for (const { path } of PAGES) {
    await go(page, path);
    assert.match(await page.locator('h1').innerText(), /\S/, path);
  }
  await context.close();
});

test('keys lead through the console', async () => {
  const { page, context, check } = await open(browser, 1280);
  await go(page, '/console');
  for (const [key, path] of [['s', '/console/sagas'], ['b', '/console/batches'], ['d', '/console/definitions'], ['p', '/console/participants'], ['a', '/console/audit'], ['h', '/console']]) {
    await page.keyboard.press('g');
    await Promise.all([page.waitForURL((url) => url.pathname === path), page.keyboard.press(key)]);
  }
  await page.keyboard.press('?');
  assert.ok(await page.locator('dialog#keys').isVisible());
  await page.keyboard.press('Escape');
  await page.keyboard.press('g');
  await Promise.all([page.waitForURL(/definitions/), page.keyboard.press('d')]);
  await page.keyboard.press('j');
  await Promise.all([page.waitForURL(/definitions\/./), page.keyboard.press('Enter')]);
  check('keys');
  await context.close();
});
