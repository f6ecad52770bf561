// What those who have the token can do: ask, say what will happen, carry it out, show what
// came of it. The token stays in the memory of this page.

import { el, byId, setText } from './dom.js';
import { printable } from './format.js';
import { text } from './texts.js';

const names = ['reload', 'reopen', 'scale', 'upgrade', 'drain', 'rollback'];
const ofUpgrade = ['drain', 'rollback']; // there must be a successor
const maxResults = 20;

let token = '';
let language = 'en';
let wanted = null; // the action that the dialog is about
let range = null; // of the number of workers, if the load decides

// showActions shows the buttons, if the server takes actions, and what fits its state.
export function showActions(allowed, status, lang) {
  language = lang;
  range = status?.scale ?? null;
  const place = byId('actions');
  place.hidden = !allowed;
  if (!place.firstChild) {
    for (const name of names) {
      const button = el('button', { type: 'button', value: name });
      button.addEventListener('click', () => ask({ name, title: () => text(language, name), ask: `${name}Ask` }));
      place.append(button);
    }
    prepare();
  }
  for (const button of place.children) {
    setText(button, text(lang, button.value));
    const upgrading = Boolean(status?.successor);
    button.hidden = ofUpgrade.includes(button.value) ? !upgrading : button.value === 'upgrade' && upgrading;
  }
  if (status) byId('dialog-count').placeholder = String(status.target);
}

// askToKill asks whether to end a worker.
export function askToKill(worker) {
  ask({ name: 'kill', title: () => text(language, 'killTitle', [worker.age]), ask: 'killAsk', pid: worker.pid });
}

function ask(action, error = '') {
  wanted = action;
  setText(byId('dialog-title'), action.title());
  setText(byId('dialog-text'), action.name === 'scale' && range ? text(language, 'scaleFixed', [Number(range.least), Number(range.most)]) : text(language, action.ask));
  setText(byId('dialog-go'), text(language, action.name));
  setText(byId('dialog-error'), error);
  byId('dialog-token').value = '';
  optional('count', action.name === 'scale');
  optional('token', !token);
  byId('dialog').showModal();
}

function optional(field, shown) {
  byId(`dialog-${field}-field`).hidden = !shown;
  byId(`dialog-${field}`).disabled = !shown;
}

function prepare() {
  const dialog = byId('dialog');
  byId('dialog-cancel').addEventListener('click', () => dialog.close());
  dialog.addEventListener('close', () => { // which comes later: it may be open again by then
    if (!dialog.open) byId('dialog-token').value = '';
  });
  dialog.querySelector('form').addEventListener('submit', (event) => {
    event.preventDefault();
    token ||= byId('dialog-token').value;
    const action = { ...wanted, count: byId('dialog-count').value };
    dialog.close();
    carryOut(action);
  });
}

async function carryOut(action) {
  const line = el('li', {}, text(language, 'pending', [action.title()]));
  const log = byId('results');
  if (!log.firstChild) log.append(el('ul'));
  log.firstChild.prepend(line);
  while (log.firstChild.children.length > maxResults) log.firstChild.lastChild.remove();
  const { outcome, message } = await call(action);
  const title = action.title();
  if (outcome === 'done') {
    setText(line, text(language, 'done', [title]));
  } else if (outcome === 'refused') {
    token = '';
    const error = text(language, 'wrongToken');
    setText(line, text(language, 'undone', [title, error]));
    ask(action, error);
  } else {
    const [first, ...rest] = printable(message, true).trim().split('\n');
    line.replaceChildren(text(language, 'undone', [title, first || text(language, 'unreachable')]));
    if (rest.length) line.append(el('pre', { lang: 'en', dir: 'ltr', tabindex: 0 }, rest.join('\n')));
  }
}

// call has the server carry out an action, and returns what came of it: done, refused (the
// token), or failed with a message.
async function call(action) {
  const path = { scale: `scale?workers=${Number(action.count)}`, kill: `worker-kill?pid=${Number(action.pid)}` }[action.name] ?? action.name;
  try {
    const response = await fetch(`actions/${path}`, {
      method: 'POST', credentials: 'omit', redirect: 'error', cache: 'no-store', headers: { Authorization: `Bearer ${token}` },
    });
    if (response.status === 401) return { outcome: 'refused' };
    const result = await response.json();
    return result.ok ? { outcome: 'done' } : { outcome: 'failed', message: result.error };
  } catch {
    return { outcome: 'failed', message: '' };
  }
}
