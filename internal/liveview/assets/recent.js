// What has happened lately: reloads, deaths of workers, slow requests.

import { el, byId, setText, keyed } from './dom.js';
import { clock, duration, printable } from './format.js';
import { text } from './texts.js';
import { request } from './workers.js';

// showRecent shows what a status tells of the past.
export function showRecent(status, lang) {
  list('reloads', status.last_reloads ?? [], lang, (r) => [
    el('p', {}, time(r.at, lang), ' ', el('span', { class: 'badge', 'data-state': r.ok ? 'ready' : 'failed' }, text(lang, r.ok ? 'reloadOK' : 'reloadFailed', [duration(r.seconds, lang)]))),
    ...(r.reason ? [block(text(lang, 'reason'), r.reason)] : []),
  ]);
  list('deaths', status.deaths ?? [], lang, (d) => [
    el('p', {}, time(d.at, lang), ' ', text(lang, 'death', [d.age, d.pid]), ' ', el('span', { lang: 'en', class: 'reason' }, printable(d.reason))),
    ...(d.running?.length ? [el('p', { class: 'ran' }, text(lang, 'ran'), ...d.running.slice(0, 10).flatMap((r) => [' ', request(r), ` (${duration(r.seconds, lang)})`]))] : []),
  ]);
  list('slow', status.slow ?? [], lang, (s) => [
    el('p', {}, time(s.at, lang), ' ', request(s), ' ', text(lang, 'inQueue', [duration(s.waited, lang)]), ', ', text(lang, 'inApp', [duration(s.ran, lang)]),
      ', pid ', String(Number(s.pid)), ...(s.client ? [', ', text(lang, 'by', [printable(s.client)])] : []), ...(s.id ? [', ', el('bdi', {}, printable(s.id))] : [])),
    ...(s.stack?.length ? [block(text(lang, 'stack'), s.stack.join('\n'))] : []),
  ]);
}

// list shows entries, of which each stays as it is once it is there.
function list(name, entries, lang, content) {
  const place = byId(name);
  if (!entries.length) {
    if (place.firstChild?.localName !== 'p') place.replaceChildren(el('p', { class: 'hint' }));
    setText(place.firstChild, text(lang, `${name}None`));
    return;
  }
  if (place.firstChild?.localName !== 'ol') place.replaceChildren(el('ol', { class: 'recent' }));
  const seen = new Map(); // two entries can be the same in every field
  const keyOf = (entry) => {
    const key = lang + JSON.stringify(entry);
    seen.set(key, (seen.get(key) ?? 0) + 1);
    return key + seen.get(key);
  };
  keyed(place.firstChild, entries, keyOf, (entry) => el('li', {}, ...content(entry)));
}

function time(at, lang) {
  const date = new Date(at);
  return el('time', Number.isNaN(date.getTime()) ? {} : { datetime: date.toISOString() }, clock(at, lang));
}

// block is text of several lines that is shown on demand.
function block(title, lines) {
  return el('details', {}, el('summary', {}, title), el('pre', { lang: 'en', dir: 'ltr', tabindex: 0 }, printable(lines, true)));
}
