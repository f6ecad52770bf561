import test from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { chosen, keys, languages, stateName, text } from '../assets/texts.js';

const assets = new URL('../assets/', import.meta.url);

test('every language has every text, and the same places for values', () => {
  for (const lang of languages) assert.deepEqual(keys(lang), keys('en'));
  for (const key of keys('en')) {
    const places = languages.map((lang) => [0, 1, 2].filter((i) => text(lang, key, ['\x01', '\x02', '\x03'], 5).includes(String.fromCharCode(i + 1))).join());
    assert.equal(new Set(places).size, 1, key);
  }
});

test('every text is used, and what the page asks for is there', () => {
  const all = readdirSync(assets).filter((name) => name !== 'texts.js').map((name) => readFileSync(new URL(name, assets), 'utf8')).join('\n');
  for (const key of keys('en')) {
    const parts = /^(class)\d$/.exec(key)?.[1] ?? key.replace(/(None|Ask)$/, '');
    const used = [`'${parts}'`, `"${parts}"`, `\`${parts}`].some((quoted) => all.includes(quoted)) || stateName('en', key) === text('en', key, [], 1);
    assert.ok(used, `${key} is not used`);
  }
  for (const [, key] of all.matchAll(/data-(?:text|label)="(\w+)"/g)) assert.ok(keys('en').includes(key), key);
});

test('the language is the first of the browser that there is', () => {
  assert.equal(chosen(['de-AT', 'ru-RU', 'en']), 'ru');
  assert.equal(chosen(['en-GB', 'ru']), 'en');
  assert.equal(chosen(['de']), 'en');
  assert.equal(chosen([]), 'en');
});

test('Russian counts', () => {
  assert.equal(text('ru', 'unlisted', ['1'], 1), 'выполняется ещё 1 запрос');
  assert.equal(text('ru', 'unlisted', ['3'], 3), 'выполняются ещё 3 запроса');
  assert.equal(text('ru', 'unlisted', ['11'], 11), 'выполняются ещё 11 запросов');
  assert.throws(() => text('ru', 'nothing'));
  assert.equal(stateName('ru', 'running'), 'работает');
  assert.equal(stateName('ru', 'toString'), 'toString');
});
