// How figures and texts of the server are written for people: pure functions of a language.

// printable makes characters visible that show nothing, or that would change how the text
// around them is shown: controls, marks that turn the direction of writing, and those of no
// width. Line breaks and tabs stay where lines are meant.
export function printable(text, lines = false) {
  return String(text ?? '').replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]/gu, (c) => {
    if (lines && (c === '\n' || c === '\t')) return c;
    return `\\u{${c.codePointAt(0).toString(16)}}`;
  });
}

export function number(n, lang, digits = 0) {
  return new Intl.NumberFormat(lang, { maximumFractionDigits: digits }).format(n);
}

// rate keeps one decimal of what is small.
export function rate(n, lang) {
  return number(n, lang, n < 10 ? 1 : 0);
}

export function percent(share, lang) {
  return new Intl.NumberFormat(lang, { style: 'percent', maximumFractionDigits: share > 0 && share < 0.1 ? 1 : 0 }).format(share);
}

const units = {
  en: { us: 'µs', ms: 'ms', s: 's', min: 'min', h: 'h', d: 'd', B: 'B' },
  ru: { us: 'мкс', ms: 'мс', s: 'с', min: 'мин', h: 'ч', d: 'дн.', B: 'Б' },
};

// duration writes seconds with two or three digits: 250 µs, 12 ms, 3.1 s, 12 min, 3 h.
export function duration(seconds, lang) {
  const u = units[lang] ?? units.en;
  const text = (n, unit, digits = 0) => `${number(n, lang, digits)}\u00a0${unit}`;
  if (!(seconds > 0)) return text(0, u.s);
  if (seconds < 0.0009995) return text(seconds * 1e6, u.us);
  if (seconds < 0.9995) return text(seconds * 1e3, u.ms, seconds < 0.00995 ? 1 : 0);
  if (seconds < 120) return text(seconds, u.s, seconds < 99.5 ? 1 : 0);
  if (seconds < 7200) return text(Math.floor(seconds / 60), u.min);
  if (seconds < 172800) return text(Math.floor(seconds / 3600), u.h);
  return text(Math.floor(seconds / 86400), u.d);
}

// minutes writes seconds for an axis that has whole minutes.
export function minutes(seconds, lang) {
  return `${number(seconds / 60, lang, 1)}\u00a0${(units[lang] ?? units.en).min}`;
}

const binary = { en: ['B', 'KiB', 'MiB', 'GiB', 'TiB'], ru: ['Б', 'КиБ', 'МиБ', 'ГиБ', 'ТиБ'] };

// bytes writes a size; 0 is one that is not known.
export function bytes(n, lang) {
  if (!(n > 0)) return '–';
  const names = binary[lang] ?? binary.en;
  let i = 0;
  while (n >= 1024 && i < names.length - 1) {
    n /= 1024;
    i++;
  }
  return `${number(n, lang, i && n < 100 ? 1 : 0)}\u00a0${names[i]}`;
}

// clock writes the time of day, with the date if that is not today.
export function clock(at, lang, now = new Date()) {
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '–';
  const today = date.toDateString() === now.toDateString();
  return new Intl.DateTimeFormat(lang, { timeStyle: 'medium', hourCycle: 'h23', ...(today ? {} : { dateStyle: 'medium' }) }).format(date);
}
