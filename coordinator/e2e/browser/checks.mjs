// What holds for every page, whatever it shows.
//
// Knows no page. Invariant: each check says what is wrong and where.

import assert from 'node:assert/strict';

import { axe } from './harness.mjs';

/** One heading, a title, nothing wider than the window. */
export async function hasShape(page) {
  const shape = await page.evaluate(() => {
    const width = document.documentElement.clientWidth;
    const beyond = [...document.querySelectorAll('body *')].filter((element) => {
      const box = element.getBoundingClientRect();
      if (box.width === 0 || box.right <= width + 1 || !element.checkVisibility()) return false;
      // What scrolls inside its own box may be wider than that.
      for (let up = element.parentElement; up; up = up.parentElement) {
        const flow = getComputedStyle(up).overflowX;
        if (flow === 'auto' || flow === 'scroll' || flow === 'hidden') return false;
      }
      return true;
    });
    return {
      headings: document.querySelectorAll('h1').length,
      title: document.title,
      scroll: document.documentElement.scrollWidth - width,
      beyond: beyond.slice(0, 5).map((element) => element.outerHTML.slice(0, 120)),
    };
  });
  const where = page.url();
  assert.equal(shape.headings, 1, `${where}: one h1`);
  assert.match(shape.title, /\S/, `${where}: a title`);
  assert.deepEqual(shape.beyond, [], `${where}: wider than the window`);
  assert.ok(shape.scroll <= 0, `${where}: scrolls sideways by ${shape.scroll} px`);
}

/** The rules of WCAG 2.1 A and AA that can be checked by a program, contrast among them; or only these. */
export async function isAccessible(page, only = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice']) {
  // By the debugger, not as a script of the page: the page's policy allows none of others.
  await page.evaluate(axe.source);
  const found = await page.evaluate((runOnly) => globalThis.axe.run(document, { runOnly }), only);
  const told = found.violations.map((it) => `${it.id}: ${it.help}: ${it.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(' | ')}`);
  assert.deepEqual(told, [], page.url());
}

/** The Tab key reaches every link, button and field that can be seen, and shows where it is. */
export async function worksByKeyboard(page) {
  await page.evaluate(() => {
    document.activeElement?.blur();
    window.getSelection()?.removeAllRanges();
    document.body.tabIndex = -1;
    document.body.focus();
  });
  const [wanted, parts] = await page.evaluate(() => {
    const all = [...document.querySelectorAll('a[href], button, input:not([type=hidden]), select, textarea, summary')];
    const reached = all.filter((it) => !it.disabled && it.tabIndex >= 0 && it.checkVisibility() && !it.closest('dialog:not([open])'));
    // Of radio buttons Tab reaches one, and within it arrows the others.
    const radios = new Set();
    const counted = reached.filter((it) => it.type !== 'radio' || (!radios.has(it.name) && radios.add(it.name)));
    // A field for a time has a stop for each of its parts.
    const parts = 8 * all.filter((it) => it.type === 'datetime-local').length;
    return [Math.min(counted.length, 40), parts];
  });
  await page.evaluate(() => {
    globalThis.reached = new Map();
    document.addEventListener('focusin', ({ target }) => {
      const style = getComputedStyle(target);
      const outlined = style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0;
      globalThis.reached.set(target, outlined || style.boxShadow !== 'none' ? '' : target.outerHTML.slice(0, 120));
    });
  });
  for (let press = 0; press < wanted + parts + 5; press++) await page.keyboard.press('Tab');
  const [reached, unseen] = await page.evaluate(() =>
    [globalThis.reached.size, [...globalThis.reached.values()].filter((html) => html)]);
  assert.deepEqual(unseen, [], `${page.url()}: focus can't be seen`);
  assert.ok(reached >= wanted, `${page.url()}: Tab reaches ${reached} of ${wanted}`);
}

/** Nothing that somebody else wrote has become markup. */
export async function showsText(page) {
  const ran = await page.evaluate(() => ({
    pwned: globalThis.pwned,
    images: document.querySelectorAll('main img, main script, main iframe, [onerror], [onclick]').length,
  }));
  assert.deepEqual(ran, { pwned: undefined, images: 0 }, `${page.url()}: text became markup`);
}

/** Dark is dark: the page's own ground is darker than its letters. */
export async function isDark(page) {
  const [ground, letters] = await page.evaluate(() => {
    const light = (color) => color.match(/[\d.]+/g).slice(0, 3).map(Number).reduce((sum, part) => sum + part, 0);
    const style = getComputedStyle(document.body);
    const own = style.backgroundColor === 'rgba(0, 0, 0, 0)' ? getComputedStyle(document.documentElement) : style;
    return [light(own.backgroundColor), light(style.color)];
  });
  assert.ok(ground < letters, `${page.url()}: letters aren't lighter than the ground`);
}
