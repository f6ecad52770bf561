// The workers as tiles, each with what it runs.

import { el, byId, setText, keyed } from './dom.js';
import { bytes, duration, number, printable } from './format.js';
import { text, stateName } from './texts.js';

const maxTiles = 200; // a page with more would only be slow
const maxRuns = 5; // that a tile lists

// showWorkers makes the tiles those of a status. kill is called with a worker to end, null if
// the server takes no actions.
export function showWorkers(status, lang, kill) {
  const workers = status.workers ?? [];
  const count = number(workers.length, lang);
  setText(byId('workers-title'), text(lang, 'workers', [count], workers.length));
  keyed(byId('workers'), workers.slice(0, maxTiles), (w) => w.age, (w) => tile(w), (node, w) => fill(node, w, lang, kill));
  const more = [];
  const hidden = workers.length - maxTiles;
  if (hidden > 0) more.push(text(lang, 'moreWorkers', [number(hidden, lang)], hidden));
  const unlisted = status.front?.unlisted ?? 0;
  if (unlisted > 0) more.push(text(lang, 'unlisted', [number(unlisted, lang)], unlisted));
  setText(byId('unlisted'), more.join('; '));
}

function tile(worker) {
  const title = el('h3', { id: `worker-${Number(worker.age)}` });
  return el('li', { class: 'tile', 'aria-labelledby': title.id }, el('div', { class: 'head' }, title, el('span', { class: 'badge' })), el('ul', { class: 'runs' }), el('dl'));
}

function fill(node, w, lang, kill) {
  setText(node.querySelector('h3'), text(lang, 'worker', [w.age]));
  const badge = node.querySelector('.badge');
  setText(badge, stateName(lang, printable(w.state)));
  badge.dataset.state = w.state;
  node.dataset.busy = w.in_flight > 0;
  fillRuns(node.querySelector('.runs'), w, lang);
  const facts = [
    ['pid', String(w.pid)],
    ['kind', printable(w.kind)],
    ['age', duration(w.uptime, lang)],
    ['requests', number(w.requests, lang)],
    ['errors', number(w.errors, lang)],
    ['memory', bytes(w.pss || w.rss, lang)],
    ['cpu', duration(w.cpu, lang)],
  ];
  if (w.lag > 0) facts.push(['lag', duration(w.lag, lang)]);
  keyed(node.querySelector('dl'), facts, ([name]) => name, () => el('div', {}, el('dt'), el('dd')), (row, [name, value]) => {
    setText(row.firstChild, text(lang, name));
    setText(row.lastChild, value);
  });
  fillButton(node.querySelector('.head'), w, lang, kill);
}

function fillRuns(list, w, lang) {
  const running = w.running ?? [];
  const rows = running.slice(0, maxRuns).map((r) => ({ r }));
  const more = w.in_flight - rows.length;
  if (more > 0 && rows.length) rows.push({ more });
  if (!rows.length) rows.push({ more: 0 });
  keyed(list, rows.map((row, i) => ({ ...row, i })), (row) => `${row.r ? 'r' : 'm'}${row.i}`, () => el('li'), (li, { r, more: rest }) => {
    if (!r) {
      setText(li, rest ? text(lang, 'moreRuns', [number(rest, lang)], rest) : w.in_flight > 0 ? stateName(lang, 'running') : text(lang, 'idle'));
      return;
    }
    li.replaceChildren(request(r), ` ${text(lang, 'runsFor', [duration(r.seconds, lang)])}`, ...(r.client ? [' ', el('span', { class: 'client' }, text(lang, 'by', [printable(r.client)]))] : []),
      ...(r.request_id ? [' ', el('bdi', { class: 'client' }, printable(r.request_id))] : []));
  });
}

function fillButton(head, w, lang, kill) {
  let button = head.querySelector('button');
  if (!kill || !(w.pid > 0)) {
    button?.remove();
    return;
  }
  if (!button) {
    button = el('button', { type: 'button' });
    head.append(button);
  }
  setText(button, text(lang, 'kill'));
  button.setAttribute('aria-label', text(lang, 'killTitle', [w.age]));
  button.onclick = () => kill(w);
}

// request is a method and a path, which a client has chosen: kept apart from the direction in
// which the rest is written.
export function request(r) {
  return el('bdi', { class: 'request', dir: 'ltr' }, `${printable(r.method)} ${printable(r.path)}`);
}
