// Every verb, carried out as a person would: found on its page, its page read, a reason given, sent, and seen to have happened.
//
// Each test takes things that no other test touches. Invariant: what a verb has done is read from the page of what it was done to.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { hasShape, isAccessible, showsText } from './checks.mjs';
import { go, launch, open, WIDTHS, world } from './harness.mjs';

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

/** Follows a verb's link, gives a reason, sends it. */
async function carryOut(page, link, button, fill = async () => {}) {
  await page.getByRole('link', { name: link, exact: true }).click();
  await page.waitForLoadState('load');
  await hasShape(page);
  await isAccessible(page);
  await fill();
  await page.getByLabel(/^Reason/).fill(`because of <b>${button}</b>`);
  await page.getByRole('button', { name: button }).click();
  await page.waitForLoadState('load');
  await hasShape(page);
  await showsText(page);
}

const says = async (page, words) => {
  const text = await page.locator('main').innerText();
  assert.ok(text.includes(words), `${page.url()} doesn't say ${words}:\n${text}`);
};

for (const [index, width] of WIDTHS.entries()) {
  test(`limits are changed at ${width}`, async () => {
    const { page, context, check } = await open(browser, width);
    await go(page, '/console/participants/inventory');
    await carryOut(page, 'Change limits…', 'Change limits', () => page.getByLabel(/^Calls at a time/).fill(String(64 + index)));
    await says(page, String(64 + index));
    await says(page, 'because of <b>Change limits</b>');
    check('limits');
    await context.close();
  });

  test(`a limit out of range is refused at ${width}`, async () => {
    const { page, context, expect, check } = await open(browser, width);
    expect('400');
    await go(page, '/console/participants/account/limits');
    await page.locator('form.stack').evaluate((form) => (form.noValidate = true));
    await page.getByLabel(/^Kept for/).fill('99');
    await page.getByLabel(/^Reason/).fill('try');
    await page.getByRole('button', { name: 'Change limits' }).click();
    await page.getByText('Nothing was changed').waitFor();
    await hasShape(page);
    check('refused');
    await context.close();
  });

  test(`a participant is paused and resumed at ${width}`, async () => {
    const { page, context, check } = await open(browser, width);
    await go(page, '/console/participants/loyalty');
    await carryOut(page, 'Pause…', 'Pause');
    await says(page, 'held open by a person');
    await carryOut(page, 'Resume…', 'Resume');
    assert.ok(!(await page.locator('main').innerText()).includes('held open by a person'));
    check('pause');
    await context.close();
  });

  test(`a definition is deprecated and taken back at ${width}`, async () => {
    const { page, context, check } = await open(browser, width);
    await go(page, '/console/definitions/checkout?version=1');
    await carryOut(page, 'Deprecate…', 'Deprecate');
    await go(page, '/console/definitions/checkout?version=1');
    await says(page, 'takes no new sagas');
    await carryOut(page, 'Take sagas again…', 'Take sagas again');
    await go(page, '/console/definitions/checkout?version=1');
    assert.ok(!(await page.locator('main').innerText()).includes('takes no new sagas'));
    check('deprecate');
    await context.close();
  });

  test(`a definition is paused and resumed at ${width}`, async () => {
    const { page, context, check } = await open(browser, width);
    await go(page, '/console/definitions/checkout');
    await carryOut(page, 'Pause…', 'Pause');
    await says(page, 'Paused by mara');
    await carryOut(page, 'Resume…', 'Resume');
    assert.ok(!(await page.locator('main').innerText()).includes('Paused by'));
    check('pause');
    await context.close();
  });
}


/** Stuck sagas and waiting ones, each for one test. */
const repairable = [...world.repairable];
const waiting = [...world.waiting];

/** A verb of a saga: its label, which saga, what is filled in besides the reason, what the page says afterwards. */
const VERBS = [
  ['Retry', repairable, 'Fresh attempts were given'],
  ['Skip', repairable, 'It was skipped'],
  ['It happened', repairable, 'it happened'],
  ['Acknowledge', repairable, 'looks after it'],
  ['Repin', repairable, 'moved to the other version', (page) => page.getByLabel(/^Version/).selectOption('1')],
  ['Pause', waiting, 'It is paused'],
  ['Cancel', waiting, 'The cancel is accepted'],
  ['Force-stop', waiting, 'It was force-stopped', (page, id) => page.getByLabel(/to confirm/).fill(id)],
];

/** Carries a verb out on a saga, from its page. One that waits may move between page and answer: then it is looked at again. */
async function carryOutOn(page, id, label, fill) {
  for (let looks = 0; looks < 5; looks += 1) {
    await go(page, `/console/sagas/${id}`);
    await page.getByRole('link', { name: `${label}…`, exact: true }).first().click();
    await page.waitForLoadState('load');
    await hasShape(page);
    await isAccessible(page);
    await fill(page, id);
    await page.locator('textarea[name=reason]').fill(`because of <b>${label}</b>`);
    const answered = page.waitForResponse((response) => response.request().method() === 'POST');
    await page.getByRole('button', { name: label, exact: true }).click();
    if ((await answered).status() !== 409) return;
  }
  assert.fail(`${id} has moved between each page and its answer`);
}

for (const [label, from, done, fill = async () => {}] of VERBS) {
  for (const width of WIDTHS) {
    test(`a saga: ${label} at ${width}`, async () => {
      const id = from.pop();
      const { page, context, expect, check } = await open(browser, width);
      expect('409');
      await carryOutOn(page, id, label, fill);
      await page.waitForURL((url) => url.pathname === `/console/sagas/${id}`);
      await says(page, done);
      await says(page, `because of <b>${label}</b>`);
      await hasShape(page);
      await showsText(page);
      if (label === 'Pause') {
        await page.getByRole('link', { name: 'Resume…', exact: true }).first().click();
        await page.locator('textarea[name=reason]').fill('go on');
        await page.getByRole('button', { name: 'Resume', exact: true }).click();
        await page.getByText('It was resumed').waitFor();
      }
      check(label);
      await context.close();
    });
  }
}

test('a saga that has moved since the page was made is left alone', async () => {
  const id = repairable.pop();
  const [one, other] = [await open(browser, 1280), await open(browser, 1280, { name: 'otto' })];
  one.expect('409');
  await go(one.page, `/console/sagas/${id}`);
  await one.page.getByRole('link', { name: 'Skip…', exact: true }).first().click();
  await one.page.waitForURL(/do\/skip/);
  await go(other.page, `/console/sagas/${id}`);
  await other.page.getByRole('link', { name: 'Acknowledge…', exact: true }).first().click();
  await other.page.locator('textarea[name=reason]').fill('I look after it');
  await other.page.getByRole('button', { name: 'Acknowledge', exact: true }).click();
  await other.page.getByText('otto looks after it').waitFor();
  await one.page.locator('textarea[name=reason]').fill('late');
  await one.page.getByRole('button', { name: 'Skip', exact: true }).click();
  await one.page.getByText('It has moved since you looked').waitFor();
  await go(one.page, `/console/sagas/${id}`);
  await says(one.page, 'stuck');
  one.check('moved');
  await one.context.close();
  await other.context.close();
});

/** Makes a plan for all stuck checkouts from the list of sagas. */
async function plan(page, reason) {
  await go(page, '/console/sagas?status=stuck&definition=checkout');
  await page.locator('#bulk > summary').click();
  await page.getByLabel('What to do').selectOption('acknowledge');
  await page.getByLabel(/^Reason/).fill(reason);
  await page.getByRole('button', { name: 'Make the plan' }).click();
  await page.waitForURL(/\/console\/batches\//);
  await hasShape(page);
  await isAccessible(page);
  await says(page, 'Nothing was done yet');
}

for (const width of WIDTHS) {
  test(`a plan is made, applied slowly, hurried, stopped, and gone on with at ${width}`, async () => {
    const { page, context, check } = await open(browser, width);
    await plan(page, `many <b>at once</b> at ${width}`);
    await carryOut(page, 'Apply…', /^Apply to/, () => page.getByLabel(/^Sagas per second/).fill('0.2'));
    await says(page, 'running');
    await carryOut(page, 'Slower or faster…', 'Change the rate', () => page.getByLabel(/^Sagas per second/).fill('0.5'));
    await says(page, 'at most 0.5 a second');
    await carryOut(page, 'Stop…', 'Stop');
    await page.getByText('stopped', { exact: true }).waitFor();
    await page.reload();
    await carryOut(page, 'Go on…', /^Apply to/, () => page.getByLabel(/^Sagas per second/).fill('1000'));
    await page.locator('.tag', { hasText: /^done$/ }).first().waitFor();
    check('plan');
    await context.close();
  });

  test(`a plan is thrown away at ${width}`, async () => {
    const { page, context, check } = await open(browser, width);
    await plan(page, 'never mind');
    await carryOut(page, 'Throw away…', 'Stop');
    await says(page, 'expired');
    check('thrown away');
    await context.close();
  });
}

test('what was done and refused is in the audit log, and is found there', async () => {
  const { page, context, expect, check } = await open(browser, 390);
  expect('400');
  await go(page, '/console/participants/account/limits');
  await page.locator('form.stack').evaluate((form) => (form.noValidate = true));
  await page.getByLabel(/^Kept for/).fill('99');
  await page.getByLabel(/^Reason/).fill('seen by the auditor');
  await page.getByRole('button', { name: 'Change limits' }).click();
  await go(page, '/console/audit?result=refused&target=participants%2Faccount');
  await says(page, 'seen by the auditor');
  await page.getByText('Entry', { exact: false }).locator('visible=true').first().click();
  await hasShape(page);
  await isAccessible(page);
  await page.getByLabel('Result').selectOption('done');
  await page.getByRole('button', { name: 'Filter' }).click();
  await page.waitForURL(/result=done/);
  assert.ok(!(await page.locator('main').innerText()).includes('seen by the auditor'));
  check('audit');
  await context.close();
});

test('a form without a reason is not sent, and refused where it is', async () => {
  const { page, context, expect } = await open(browser, 1280);
  expect('400');
  await go(page, '/console/participants/payment/pause');
  await page.getByRole('button', { name: 'Pause' }).click();
  assert.ok(await page.getByLabel(/^Reason/).evaluate((it) => it.validity.valueMissing));
  await page.locator('form.stack').evaluate((form) => (form.noValidate = true));
  await page.getByRole('button', { name: 'Pause' }).click();
  await page.getByText('say why').waitFor();
  await context.close();
});

test('a form of another site changes nothing', async () => {
  const { page, context } = await open(browser, 1280);
  await go(page, '/console/participants/payment');
  const answer = await context.request.post(`${world.address}/console/participants/payment/pause`, {
    form: { reason: 'evil' },
    headers: { origin: 'http://evil.example' },
  });
  assert.equal(answer.status(), 403);
  await context.close();
});
