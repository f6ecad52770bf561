// What the server does by itself: how many workers there are to be, which are replaced, what is
// tried, and who is kept from the workers. And the pools.

import { el, byId, setText, keyed } from './dom.js';
import { clock, duration, number, percent, printable } from './format.js';
import { text } from './texts.js';

// showSelfCare shows what a status tells of that. Where there is nothing to tell, nothing is shown.
export function showSelfCare(status, lang) {
  facts('selfcare', [...scale(status.scale, lang), ...canary(status.canary, lang), ...quarantines(status, lang), ...counts(status, lang)]);
  facts('pools', (status.front?.pools ?? []).map((p) => [`pool-${p.name}`, printable(p.name), pool(p, lang)]));
}

function facts(name, rows) {
  byId(`${name}-section`).hidden = !rows.length;
  keyed(byId(name), rows, ([key]) => key, () => el('div', {}, el('dt'), el('dd')), (row, [, label, value]) => {
    setText(row.firstChild, label);
    setText(row.lastChild, value);
  });
}

function scale(s, lang) {
  if (!s) return [];
  const fact = (key, value) => [key, text(lang, key), value];
  const range = text(lang, 'fromTo', [number(s.least, lang), number(s.most, lang)]);
  const rows = [
    fact('range', s.dry_run ? `${range} (${text(lang, 'dryRun')}${s.wanted ? `: ${number(s.wanted, lang)}` : ''})` : range),
    fact('load', text(lang, 'loadNow', [percent(s.busy, lang), duration(s.wait, lang), number(s.offered, lang, 1)])),
  ];
  if (s.last) rows.push(fact('rescaled', `${clock(s.last.at, lang)}: ${number(s.last.from, lang)} → ${number(s.last.to, lang)}. ${printable(s.last.why)}`));
  if (s.held) rows.push(fact('held', printable(s.held)));
  return rows;
}

function canary(c, lang) {
  if (!c) return [];
  const side = (s) => text(lang, 'side', [number(s.requests, lang), number(s.failed, lang), duration(s.median, lang), duration(s.p99, lang)]);
  return [
    ['canary', text(lang, 'canary'), text(lang, 'tried', [percent(c.share, lang), duration(c.elapsed, lang), duration(c.window, lang)]) + (c.dry_run ? ` (${text(lang, 'dryRun')})` : '')],
    ['canaryNew', text(lang, 'canaryNew'), side(c.new)],
    ['canaryOld', text(lang, 'canaryOld'), side(c.old)],
  ];
}

function quarantines(status, lang) {
  return (status.front?.quarantine ?? []).map((q, i) => [`quarantine-${i}`, text(lang, 'quarantine'),
    `${[q.client, q.path].filter(Boolean).map((part) => printable(part)).join(' ')}: ${text(lang, 'kept', [duration(q.seconds, lang), number(q.refused, lang)])}${q.dry_run ? ` (${text(lang, 'dryRun')})` : ''}`]);
}

// counts are what has been done since the start, and the template and the workers that are to go.
function counts(status, lang) {
  const rows = [];
  const t = status.template;
  if (t) rows.push(['template', text(lang, 'template'), text(lang, 'forked', [Number(t.pid), number(t.forked, lang)])]);
  if (status.reforks || status.failed_reforks) {
    rows.push(['reforks', text(lang, 'reforks'), text(lang, 'andFailed', [number(status.reforks, lang), number(status.failed_reforks, lang)])]);
  }
  const done = status.canaries ?? {};
  if (done.passed || done.failed) rows.push(['canaries', text(lang, 'canaries'), text(lang, 'andFailed', [number(done.passed, lang), number(done.failed, lang)])]);
  const reasons = Object.entries(status.recycled ?? {}).filter(([, n]) => n > 0);
  if (reasons.length) rows.push(['recycled', text(lang, 'recycled'), reasons.map(([reason, n]) => `${printable(reason)}: ${number(n, lang)}`).join(', ')]);
  for (const w of status.workers ?? []) {
    if (w.replacement) rows.push([`replaced-${Number(w.age)}`, text(lang, 'replaced', [Number(w.age)]), printable(w.replacement.text)]);
  }
  return rows;
}

function pool(p, lang) {
  const sum = (of) => (p.workers ?? []).reduce((n, w) => n + of(w), 0);
  return text(lang, 'poolNow', [number(sum((w) => w.busy), lang), number(sum((w) => w.slots), lang), number(p.waiting, lang), number((p.workers ?? []).length, lang), number(p.calls?.done ?? 0, lang)]);
}
