// The page as a whole: what comes from the server is kept here and shown.

import { Chart } from './chart.js';
import { byId, el, keyed, setText } from './dom.js';
import { clock, duration, number, percent, printable, rate } from './format.js';
import { joined, nearest, thinned, withGaps } from './series.js';
import { chosen, stateName, text } from './texts.js';
import { follow } from './events.js';
import { showWorkers } from './workers.js';
import { showRecent } from './recent.js';
import { showSelfCare } from './selfcare.js';
import { showActions, askToKill } from './actions.js';

const stored = 'indrik-language';
const maxAge = 8; // seconds after which a status is old

// remembered gets or sets the language that somebody has chosen. A browser may forbid to keep it.
function remembered(lang) {
  try {
    if (lang) localStorage.setItem(stored, lang);
    return localStorage.getItem(stored);
  } catch {
    return null;
  }
}

const page = {
  lang: chosen([remembered() ?? '', ...(navigator.languages ?? [navigator.language])]),
  connection: 'connecting',
  hello: null,
  first: null, // the hello of the program that the page came with
  samples: [],
  status: null,
  statusAt: 0, // by the clock of the samples
  notice: 'connecting',
};

const cursor = { at: null, nearest: (samples) => nearest(samples, cursor.at), moved: () => charts.forEach((chart) => chart.samples && chart.show()) };
const each = (list, i) => (list ? list[i] : null);
const charts = [
  { key: 'rates', stack: true, least: 2, format: rate, lines: [2, 3, 4, 5].map((n) => ({ key: `class${n}`, look: `class${n}`, value: (s) => s.rates[n - 1] })) },
  { key: 'duration', format: duration, lines: ['p50', 'p90', 'p99'].map((key, i) => ({ key, look: key, value: (s) => each(s.duration, i) })) },
  { key: 'busy', most: 1, format: percent, lines: [{ key: 'share', look: 'p50', value: (s) => s.busy }] },
  { key: 'queue', least: 4, format: rate, lines: [{ key: 'waiting', look: 'p50', value: (s) => s.queue }] },
  { key: 'wait', format: duration, lines: ['p50', 'p99'].map((key, i) => ({ key, look: key, value: (s) => each(s.wait, i) })) },
  { key: 'connections', least: 4, format: rate, lines: [{ key: 'running', look: 'p99', value: (s) => s.running }, { key: 'open', look: 'p50', value: (s) => s.connections }] },
].map((chart) => new Chart(chart, cursor));
byId('charts').append(...charts.map((chart) => chart.element));

function showCharts() {
  const interval = page.hello?.interval ?? 1;
  const span = interval * (page.hello?.keep ?? 300);
  const begins = withGaps(page.samples, interval);
  for (const chart of charts) chart.draw({ samples: page.samples, begins, span, interval, lang: page.lang });
}

// The table changes every ten seconds, and only if somebody looks.
const columns = [
  ['time', (s) => clock(s.at * 1000, page.lang)],
  ['rates', (s) => rate(s.rates.reduce((a, b) => a + b), page.lang)],
  ['class5', (s) => rate(s.rates[4], page.lang)],
  ['duration', (s) => quantiles(s.duration)],
  ['busy', (s) => percent(s.busy, page.lang)],
  ['queue', (s) => number(s.queue, page.lang)],
  ['wait', (s) => quantiles(s.wait)],
  ['connections', (s) => number(s.connections, page.lang)],
];

function quantiles(values) {
  return values ? [values[0], values[values.length - 1]].map((v) => duration(v, page.lang)).join(' / ') : '–';
}

function showTable() {
  if (!byId('table').open) return;
  const unit = { duration: ' (50 % / 99 %)', wait: ' (50 % / 99 %)' };
  const head = el('thead', {}, el('tr', {}, ...columns.map(([key]) => el('th', { scope: 'col' }, text(page.lang, key) + (unit[key] ?? '')))));
  const rows = thinned(page.samples, 10).map((s) => el('tr', {}, ...columns.map(([key, value]) => el(key === 'time' ? 'th' : 'td', key === 'time' ? { scope: 'row' } : {}, value(s)))));
  byId('table').querySelector('table').replaceChildren(el('caption', {}, text(page.lang, 'asTable')), head, el('tbody', {}, ...rows));
}

function showFigures() {
  const { lang, status, samples } = page;
  const last = samples[samples.length - 1];
  const total = last?.responses.reduce((a, b) => a + b);
  const facts = [];
  if (status) {
    const range = status.scale ? ` (${text(lang, 'fromTo', [number(status.scale.least, lang), number(status.scale.most, lang)])})` : '';
    facts.push(['uptime', duration(status.uptime, lang)], ['workersOf', text(lang, 'of', [number(status.workers.length, lang), number(status.target, lang)]) + range],
      ['generation', number(status.generation, lang)]);
  }
  if (last) facts.push(['answered', number(total, lang)], ['failed', number(last.responses[4], lang)], ['queued', number(last.queue, lang)]);
  if (status?.front) facts.push(['oldest', duration(status.front.queue.oldest, lang)], ['refused', number(status.front.queue.refused, lang)]);
  if (status) facts.push(['listeners', status.listeners.map((l) => printable(l.address)).join(', ') || '–']);
  keyed(byId('figures'), facts, ([key]) => key, ([key]) => el('div', { id: `figure-${key}` }, el('dt'), el('dd')), (row, [key, value]) => {
    setText(row.firstChild, text(lang, key));
    setText(row.lastChild, value);
  });
}

function showStatus() {
  const { lang, status, hello } = page;
  showActions(Boolean(hello?.actions), status, lang);
  if (!status) return;
  setText(byId('app'), printable(status.app));
  document.title = `${printable(status.app)} – Indrik`;
  setText(byId('state'), stateName(lang, printable(status.state)));
  byId('state').dataset.state = status.state;
  setText(byId('version'), `Indrik ${printable(status.version)}, pid ${Number(status.pid)}`);
  showWorkers(status, lang, hello?.actions ? askToKill : null);
  showSelfCare(status, lang);
  showRecent(status, lang);
}

function showNotice() {
  const { lang, status } = page;
  const parts = [];
  if (page.notice) parts.push(text(lang, page.notice));
  const newest = page.samples[page.samples.length - 1]?.at ?? 0;
  if (page.connection === 'open' && status && newest - page.statusAt > maxAge) parts.push(text(lang, 'stale'));
  if (status?.role === 'successor') parts.push(text(lang, 'successorHere'));
  if (status?.successor) parts.push(text(lang, 'upgrading', [Number(status.successor)]));
  const place = byId('notice');
  setText(place, parts.join(' '));
  place.dataset.state = page.connection;
}

function showAll() {
  document.documentElement.lang = page.lang;
  for (const node of document.querySelectorAll('[data-text]')) setText(node, text(page.lang, node.dataset.text));
  for (const node of document.querySelectorAll('[data-label]')) node.setAttribute('aria-label', text(page.lang, node.dataset.label));
  for (const button of byId('languages').children) button.setAttribute('aria-pressed', String(button.value === page.lang));
  showStatus();
  showFigures();
  showCharts();
  showTable();
  showNotice();
}

follow('events', {
  state(state) {
    if (state === 'open') {
      if (page.connection === 'connecting') page.notice = '';
      else if (!['otherFront', 'otherVersion'].includes(page.notice)) page.notice = 'back';
      setTimeout(() => {
        if (['back', 'otherFront'].includes(page.notice)) page.notice = '';
      }, 10000);
    } else {
      page.notice = page.hello ? state : 'connecting';
    }
    page.connection = page.hello ? state : 'connecting';
    showNotice();
  },
  hello(hello) {
    page.first ??= hello;
    if (page.hello && page.hello.front !== hello.front) page.notice = 'otherFront';
    if (page.first.version !== hello.version) {
      page.notice = 'otherVersion';
      if (!byId('load')) byId('notice').after(el('button', { id: 'load', type: 'button' }, text(page.lang, 'load')));
      byId('load').onclick = () => location.reload();
    }
    page.hello = hello;
    showNotice();
    showStatus();
  },
  past(past) {
    page.samples = joined(page.samples, past, page.hello.keep);
    showCharts();
    showTable();
    showFigures();
  },
  sample(sample) {
    page.samples = joined(page.samples, [sample], page.hello.keep);
    showCharts();
    showFigures();
    if (Math.round(sample.at) % 10 === 0) showTable();
    showNotice();
  },
  status(status) {
    page.status = status;
    page.statusAt = page.samples[page.samples.length - 1]?.at ?? 0;
    showStatus();
    showFigures();
    showNotice();
  },
});

for (const button of byId('languages').children) {
  button.addEventListener('click', () => {
    page.lang = button.value;
    remembered(page.lang);
    showAll();
  });
}
byId('table').addEventListener('toggle', showTable);
new ResizeObserver(showCharts).observe(byId('charts'));
showAll();
