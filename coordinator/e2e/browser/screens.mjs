// Takes a picture of every page, at the width of a desk and of a phone, in light, and one of each in the dark.
//
//   make screens        puts them into coordinator/docs/screens
//
// What differs from run to run (times, ports, digests) is blanked, so that a picture changes only where a page does. Invariant: a page
// that makes a mistake while its picture is taken fails.

import { execFileSync } from 'node:child_process';
import { mkdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

import { go, launch, open, WIDTHS, world } from './harness.mjs';
import { PAGES } from './sitemap.mjs';

const folder = process.env.AMENDS_SCREENS;
/** All pictures together. */
const BYTES_MAX = 3 * 1024 * 1024;
const HEIGHT_MAX = 2400;

/** Pages of which there is a picture in the dark too. */
const DARK = ['home', 'sagas', 'saga-stuck', 'definition', 'participants', 'batch', 'audit'];

mkdirSync(folder, { recursive: true });
const browser = await launch();
let bytes = 0;
for (const { name, path } of PAGES) {
  for (const width of WIDTHS) {
    for (const theme of width === 1280 && DARK.includes(name) ? ['light', 'dark'] : ['light']) {
      const { page, context, check } = await open(browser, width, { theme });
      await go(page, path);
      await still(page);
      const file = join(folder, `${name}-${width}${theme === 'dark' ? '-dark' : ''}.png`);
      const height = Math.min(await page.evaluate(() => document.documentElement.scrollHeight), HEIGHT_MAX);
      await page.setViewportSize({ width, height: Math.max(height, 400) });
      await page.screenshot({ path: file });
      shrink(file);
      bytes += statSync(file).size;
      check(path);
      await context.close();
    }
  }
}
await browser.close();
console.log(`${folder}: ${Math.round(bytes / 1024)} KiB`);
if (bytes > BYTES_MAX) throw new Error(`the pictures have ${bytes} bytes, the limit is ${BYTES_MAX}`);

/** What is another one in every run becomes one that isn't: times, durations, ports, digests, plans, and what is drawn of times. */
async function still(page) {
  await page.evaluate((plan) => {
    // What is fetched from now on never comes, so that nothing moves any more.
    globalThis.fetch = () => new Promise(() => {});
    for (const time of document.querySelectorAll('time')) {
      const ahead = time.textContent.startsWith('in ');
      // Without its attribute the page's script leaves it alone.
      time.removeAttribute('datetime');
      time.textContent = ahead ? 'in 30 s' : '2 min ago';
    }
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    for (let text = walker.nextNode(); text; text = walker.nextNode()) {
      text.data = text.data
        .replace(/(127\.0\.0\.1|localhost):\d+/g, '$1:7500')
        .replace(/\b[0-9a-f]{12,64}\b/g, (it) => 'ab'.repeat(it.length / 2))
        .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC/g, '2026-01-01 03:00:00 UTC')
        .replace(/\d+(\.\d+)?( ?ms| s\b|\/s)/g, '7$2')
        .replaceAll(plan, 'b7k2m9qx');
    }
    for (const lane of document.querySelectorAll('svg.bars')) {
      [...lane.querySelectorAll('rect:not(.lane)')].forEach((bar, index) => {
        bar.setAttribute('x', 60 * index);
        bar.setAttribute('width', 40);
      });
    }
    for (const line of document.querySelectorAll('.plot .line')) line.setAttribute('d', 'M0 50L90 40L180 44L270 20L360 26');
  }, world.plan);
}

/** Fewer colours, which nobody sees, and a third of the bytes. */
function shrink(file) {
  try {
    execFileSync('pngquant', ['--force', '--strip', '--speed', '1', '--ext', '.png', '96', file]);
  } catch (error) {
    throw new Error('pngquant fails or is missing: run .ci/tools', { cause: error });
  }
}
