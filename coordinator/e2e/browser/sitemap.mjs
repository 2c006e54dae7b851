// The pages that tests look at and screenshots are taken of. Knows addresses, and words that a page must show.

import { world } from './harness.mjs';

const [stuck] = world.stuck;
const [completed] = world.completed;
const markup = world.compensated.find((id) => id.startsWith('markup'));

/** `unlinked`: no link leads there. */
export const PAGES = [
  { name: 'home', path: '/console', shows: [stuck] },
  { name: 'sagas', path: '/console/sagas', shows: [stuck] },
  { name: 'sagas-stuck', path: '/console/sagas?status=stuck', shows: world.stuck },
  { name: 'saga-stuck', path: `/console/sagas/${stuck}`, shows: [stuck] },
  { name: 'saga-completed', path: `/console/sagas/${completed}`, shows: [completed] },
  { name: 'saga-markup', path: `/console/sagas/${markup}`, shows: [markup] },
  { name: 'saga-waiting', path: `/console/sagas/${world.waiting[0]}`, shows: ['courier'] },
  { name: 'saga-verb', path: `/console/sagas/${stuck}/do/acknowledge`, shows: [stuck] },
  { name: 'batches', path: '/console/batches', shows: ['retry', 'planned', world.markup] },
  { name: 'batch', path: `/console/batches/${world.plan}`, shows: ['Nothing was done yet', stuck, 'retry'] },
  { name: 'batch-apply', path: `/console/batches/${world.plan}/apply`, shows: ['Only these sagas'] },
  { name: 'definitions', path: '/console/definitions', shows: ['checkout', 'delivery'] },
  { name: 'definition', path: '/console/definitions/checkout', shows: ['reserve-stock', 'charge'] },
  { name: 'definition-diff', path: '/console/definitions/checkout/diff?from=1&to=2', shows: ['sku'] },
  { name: 'definition-wide', path: '/console/definitions/delivery', shows: ['book-courier', 'award-points'] },
  { name: 'definition-pause', path: '/console/definitions/checkout/pause', shows: ['deadlines run on'] },
  { name: 'participants', path: '/console/participants', shows: ['courier', 'payment'] },
  { name: 'participant', path: '/console/participants/courier', shows: ['open'] },
  { name: 'participant-limits', path: '/console/participants/courier/limits', shows: ['For all nodes together'] },
  { name: 'audit', path: '/console/audit' },
  { name: 'login', path: '/console/login' },
];
