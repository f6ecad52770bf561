import test from 'node:test';
import assert from 'node:assert/strict';
import * as format from '../assets/format.js';

const plain = (s) => s.replace(/\u00a0|\u202f/g, ' ');

test('what shows nothing, or turns the direction of writing, is made visible', () => {
  assert.equal(format.printable('/a\u202eb\u0000\u200b\ufeff\u001b[2J'), '/a\\u{202e}b\\u{0}\\u{200b}\\u{feff}\\u{1b}[2J');
  assert.equal(format.printable('a\nb'), 'a\\u{a}b');
  assert.equal(format.printable('a\n\tb\r\u2028', true), 'a\n\tb\\u{d}\\u{2028}');
  assert.equal(format.printable('<script>é😀</script>'), '<script>é😀</script>');
  assert.equal(format.printable('\ud800'), '\\u{d800}');
  assert.equal(format.printable(null), '');
});

test('durations have two or three digits and a unit of the language', () => {
  const en = { 0: '0 s', 0.00000025: '0 µs', 0.00025: '250 µs', 0.0012: '1.2 ms', 0.012: '12 ms', 0.9999: '1 s', 3.14: '3.1 s', 119: '119 s', 720: '12 min', 10800: '3 h', 432000: '5 d' };
  for (const [seconds, want] of Object.entries(en)) assert.equal(plain(format.duration(Number(seconds), 'en')), want);
  assert.equal(plain(format.duration(0.0012, 'ru')), '1,2 мс');
  assert.equal(plain(format.duration(undefined, 'en')), '0 s');
  assert.equal(plain(format.minutes(60, 'ru')), '1 мин');
});

test('sizes, shares and rates', () => {
  assert.equal(plain(format.bytes(0, 'en')), '–');
  assert.equal(plain(format.bytes(16.04 * 2 ** 20, 'en')), '16 MiB');
  assert.equal(plain(format.bytes(6.25 * 2 ** 20, 'ru')), '6,3 МиБ');
  assert.equal(plain(format.percent(0.034, 'en')), '3.4%');
  assert.equal(plain(format.percent(0.5, 'ru')), '50 %');
  assert.equal(plain(format.rate(1234.5, 'ru')), '1 235');
  assert.equal(plain(format.rate(12345.5, 'ru')), '12 346');
  assert.equal(plain(format.rate(3.25, 'en')), '3.3');
});

test('times of day have a date unless it is today', () => {
  const now = new Date(2026, 10, 30, 12, 0, 0);
  assert.equal(format.clock(new Date(2026, 10, 30, 1, 2, 3), 'ru', now), '01:02:03');
  assert.match(format.clock(new Date(2026, 10, 29, 1, 2, 3), 'ru', now), /29 нояб/);
  assert.equal(format.clock('no time', 'en', now), '–');
});
