// A chart of the last minutes: an SVG that is drawn anew with each sample. For those who use
// a keyboard or a screen reader it is a slider over time whose value is what the lines say.

import { el, svg, setText } from './dom.js';
import { niceTop, stacked, linePath, areaPath, spread } from './series.js';
import { clock, minutes } from './format.js';
import { text } from './texts.js';

const left = 52; // of the plot, in pixels: the labels of the axis are there
const bottom = 20;
const top = 6;
const height = 150;

export class Chart {
  // lines are {key, look, value}: the key of the text, the class, and the value of a sample or
  // null; if they are to be stacked, from the bottom to the top. The axis ends at most, or is as
  // long as the values need, and at least so long.
  // cursor is what all charts share: {at: a time or null, moved: what to call}.
  constructor({ key, lines, stack = false, most = 0, least = 0, format }, cursor) {
    Object.assign(this, { key, lines, stack, most, least, format, cursor });
    this.title = el('h3', { id: `chart-${key}` });
    this.when = el('span', { class: 'when' });
    this.values = lines.map(() => el('b'));
    this.names = lines.map(() => el('span'));
    this.legend = el('ul', { class: 'legend' }, ...lines.map((line, i) => el('li', {},
      svg('svg', { class: `key ${line.look}`, width: 18, height: 9, 'aria-hidden': 'true' }, svg('path', { class: 'line', d: 'M1 4.5H17' })),
      this.names[i], ' ', this.values[i])));
    this.areas = lines.map((line) => svg('path', { class: `area ${line.look}` }));
    this.paths = lines.map((line) => svg('path', { class: `line ${line.look}` }));
    this.rules = [0, 1, 2].map(() => svg('path', { class: 'rule' }));
    this.levels = [0, 1, 2].map(() => svg('text', { class: 'label', 'text-anchor': 'end', x: left - 6 }));
    this.times = [0, 1, 2, 3, 4, 5].map(() => svg('text', { class: 'label', y: height - 4 }));
    this.mark = svg('path', { class: 'mark' });
    this.drawing = svg('svg', { 'aria-hidden': 'true', height }, ...this.rules, ...(stack ? this.areas : this.paths), this.mark, ...this.levels, ...this.times);
    this.plot = el('div', { class: 'plot', tabindex: 0, role: 'slider', 'aria-labelledby': `chart-${key}`, 'aria-describedby': 'charts-hint', 'aria-valuemax': 0 }, this.drawing);
    this.element = el('figure', { class: stack ? 'chart stack' : 'chart' }, el('figcaption', {}, this.title, this.when, this.legend), this.plot);
    this.plot.addEventListener('keydown', (event) => this.press(event));
    this.plot.addEventListener('pointermove', (event) => this.point(event));
    this.plot.addEventListener('pointerleave', () => this.move(null));
    this.plot.addEventListener('focus', () => this.say());
    this.plot.addEventListener('blur', () => this.move(null));
  }

  // draw shows samples, of which begins are those after a gap, for the time that the page keeps.
  draw({ samples, begins, span, interval, lang }) {
    Object.assign(this, { samples, span, interval, lang });
    setText(this.title, text(lang, this.key));
    this.lines.forEach((line, i) => setText(this.names[i], text(lang, line.key)));
    const width = Math.max(this.plot.clientWidth, left + 60);
    const now = samples.length ? samples[samples.length - 1].at : 0;
    this.x = (at) => left + (width - left - 8) * (1 + (at - now) / span);
    this.at = (x) => now + span * ((x - left) / (width - left - 8) - 1);
    this.drawing.setAttribute('width', width);
    const own = this.lines.map((line) => samples.map(line.value));
    const shown = this.stack ? stacked(own) : own;
    const limit = this.most || niceTop(Math.max(this.least, ...shown.flat().filter((v) => v !== null)));
    const y = (v) => (v === null ? null : top + (height - top - bottom) * (1 - v / limit));
    const xs = samples.map((s) => this.x(s.at));
    const floor = samples.map(() => y(0));
    const ys = shown.map((line) => line.map(y));
    ys.forEach((line, i) => {
      if (this.stack) this.areas[i].setAttribute('d', areaPath(xs, line, i ? ys[i - 1] : floor, begins));
      else this.paths[i].setAttribute('d', linePath(xs, line, begins));
    });
    [0, limit / 2, limit].forEach((level, i) => {
      this.rules[i].setAttribute('d', `M${left} ${y(level)}H${width - 8}`);
      this.levels[i].setAttribute('y', y(level) + 4);
      setText(this.levels[i], this.format(level, lang));
    });
    const step = width < 420 ? 2 : 1;
    this.times.forEach((label, i) => {
      const ago = span * (1 - i / 5);
      label.setAttribute('x', i === 5 ? width - 8 : this.x(now - ago));
      label.setAttribute('text-anchor', i === 5 ? 'end' : i ? 'middle' : 'start');
      setText(label, i === 5 ? text(lang, 'now') : (5 - i) % step ? '' : `−${minutes(ago, lang)}`);
    });
    this.show();
  }

  // show writes the values of the moment that the cursor is at, or of now.
  show() {
    const i = this.index();
    const sample = this.samples[i];
    this.lines.forEach((line, n) => {
      const value = sample ? line.value(sample) : null;
      setText(this.values[n], value === null ? '–' : this.format(value, this.lang));
    });
    const chosen = this.cursor.at !== null && sample;
    setText(this.when, chosen ? clock(sample.at * 1000, this.lang) : '');
    this.mark.setAttribute('d', chosen ? `M${this.x(sample.at)} ${top}V${height - bottom}` : '');
    if (document.activeElement !== this.plot) this.say(); // what has the focus speaks when it is asked
  }

  // say puts what the lines say at the cursor, or of all the time, into the value of the slider.
  say() {
    if (!this.samples) return;
    const sample = this.samples[this.index()];
    const ago = sample ? Math.round(sample.at - this.samples[this.samples.length - 1].at) : 0;
    this.plot.setAttribute('aria-valuemin', -this.span);
    this.plot.setAttribute('aria-valuenow', ago);
    let said = text(this.lang, 'noData');
    if (this.cursor.at !== null && sample) {
      said = [clock(sample.at * 1000, this.lang), ...this.lines.map((line) => `${text(this.lang, line.key)}: ${this.written(line.value(sample))}`)].join(', ');
    } else if (sample) {
      said = this.lines.map((line) => {
        const all = spread(this.samples.map(line.value));
        const name = text(this.lang, line.key);
        if (!all) return `${name}: ${text(this.lang, 'none')}`;
        return text(this.lang, 'summary', [name, this.written(line.value(sample)), this.written(all.least), this.written(all.most)]);
      }).join('. ');
    }
    this.plot.setAttribute('aria-valuetext', said);
  }

  written(value) {
    return value === null ? text(this.lang, 'none') : this.format(value, this.lang);
  }

  index() {
    if (this.cursor.at === null) return this.samples.length - 1;
    return this.cursor.nearest(this.samples);
  }

  point(event) {
    if (!this.samples?.length || !this.at) return;
    this.move(this.at(event.clientX - this.plot.getBoundingClientRect().left));
  }

  press(event) {
    if (!this.samples?.length) return;
    const steps = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1, PageDown: -10, PageUp: 10, Home: -Infinity, End: Infinity }[event.key];
    if (event.key === 'Escape') {
      this.move(null);
    } else if (steps) {
      const to = Math.min(Math.max(this.index() + steps, 0), this.samples.length - 1);
      this.move(this.samples[to].at);
    } else {
      return;
    }
    event.preventDefault();
    this.say();
  }

  move(at) {
    this.cursor.at = at;
    this.cursor.moved();
  }
}
