// The SRE's hour in a browser: from the first page to a plan that has repaired what was stuck, without a command line.
//
// tests/it/hour.rs has made the incident and checks the books afterwards. Invariant: nothing is typed but a filter and reasons.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { hasShape } from './checks.mjs';
import { go, launch, open, world } from './harness.mjs';

let browser;
before(async () => (browser = await launch()));
after(async () => browser?.close());

test('what is stuck is seen, planned, and repaired but for the one that has moved', async () => {
  const { page, context, check } = await open(browser, 1280, { name: 'sre' });
  context.setDefaultTimeout(60_000);
  await go(page, '/console');
  // It begins with what needs a person.
  for (const id of world.stuck) await page.getByRole('link', { name: id, exact: true }).waitFor();
  await go(page, '/console/sagas?status=stuck');
  await page.getByText(`Act on all ${world.stuck.length} sagas that match`).click();
  await page.getByLabel('What to do').selectOption('retry');
  await page.locator('#bulk').getByLabel(/^Reason/).fill('inventory, account and payment are back');
  await page.getByRole('button', { name: 'Make the plan' }).click();
  await page.getByText('Nothing was done yet').waitFor();
  await hasShape(page);
  const plan = page.url();
  assert.match(await page.locator('.counts').innerText(), new RegExp(`^${world.stuck.length}\\b`));
  // Every call that it leads to is named.
  for (const method of ['inventory.v1.Inventory/Release', 'account.v1.Account/ConfirmHold', 'payment.v1.Payment/Charge']) {
    await page.getByRole('cell', { name: method, exact: true }).first().waitFor();
  }
  // Somebody repairs one by hand in between.
  const [moved] = world.stuck;
  await go(page, `/console/sagas/${moved}`);
  await page.getByRole('link', { name: 'Retry…', exact: true }).first().click();
  await page.getByLabel(/^Reason/).fill('by hand');
  await page.getByRole('button', { name: /^Retry/ }).click();
  await page.getByText('compensated', { exact: true }).first().waitFor();
  // The plan is applied, and says which one it left alone.
  await page.goto(plan);
  await page.getByRole('link', { name: 'Apply…', exact: true }).click();
  await page.getByLabel(/^Reason/).fill('as planned');
  await page.getByRole('button', { name: /^Apply to/ }).click();
  await page.getByRole('heading', { name: 'Left alone' }).waitFor();
  await page.locator('h1 + .tag', { hasText: 'done' }).waitFor();
  await page.getByRole('link', { name: moved, exact: true }).first().waitFor();
  await hasShape(page);
  check('the hour');
  await context.close();
});
