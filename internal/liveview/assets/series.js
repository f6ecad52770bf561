// What the charts make of samples: pure functions, without a page.

// joined returns the samples of a page and those that a server has sent as its past, in the
// order of time. Where both tell of the same time the server is right, which may be another
// one than before.
export function joined(own, past, keep) {
  const first = past.length ? past[0].at : Infinity;
  return own.filter((s) => s.at < first).concat(past).slice(-keep);
}

// niceTop returns the value at the top of an axis that has to hold most: a small number, half of
// which can be read as well, times a power of ten.
export function niceTop(most) {
  if (!(most > 0)) return 1;
  const power = 10 ** Math.floor(Math.log10(most));
  const factor = [1, 2, 3, 4, 6, 8, 10].find((f) => f * power >= most * 0.999999);
  return factor * power;
}

// stacked returns the lines of a chart in which values stand on top of each other: the last
// one is their sum. A line of nulls stays one.
export function stacked(lines) {
  const sums = [];
  return lines.map((line) => line.map((value, i) => {
    if (value === null) return null;
    sums[i] = (sums[i] ?? 0) + value;
    return sums[i];
  }));
}

// withGaps returns the indices at which a line has to begin anew, since samples are missing:
// there was no front, or no connection to it.
export function withGaps(samples, interval) {
  const begins = new Set([0]);
  for (let i = 1; i < samples.length; i++) {
    if (samples[i].at - samples[i - 1].at > 2.5 * interval) begins.add(i);
  }
  return begins;
}

// linePath is the path of a line through points; a null is a gap.
export function linePath(xs, ys, begins) {
  let path = '';
  let pen = false;
  ys.forEach((y, i) => {
    if (y === null) {
      pen = false;
      return;
    }
    const to = `${short(xs[i])} ${short(y)}`;
    const alone = (i + 1 === ys.length || ys[i + 1] === null || begins.has(i + 1)) && (!pen || begins.has(i));
    path += (pen && !begins.has(i) ? 'L' : 'M') + to + (alone ? 'h.01' : '');
    pen = true;
  });
  return path;
}

// areaPath is the path of the area between two lines without nulls.
export function areaPath(xs, upper, lower, begins) {
  let path = '';
  for (let from = 0; from < xs.length;) {
    let to = from + 1;
    while (to < xs.length && !begins.has(to)) to++;
    path += 'M';
    for (let i = from; i < to; i++) path += `${i > from ? 'L' : ''}${short(xs[i])} ${short(upper[i])}`;
    for (let i = to - 1; i >= from; i--) path += `L${short(xs[i])} ${short(lower[i])}`;
    path += 'Z';
    from = to;
  }
  return path;
}

function short(n) {
  return Math.round(n * 10) / 10;
}

// nearest returns the index of the sample that is nearest to a time, -1 without samples.
export function nearest(samples, at) {
  let best = -1;
  samples.forEach((s, i) => {
    if (best < 0 || Math.abs(s.at - at) < Math.abs(samples[best].at - at)) best = i;
  });
  return best;
}

// spread returns the least, the mean and the greatest of values that are not null; null if
// there are none.
export function spread(values) {
  const known = values.filter((v) => v !== null);
  if (!known.length) return null;
  return { least: Math.min(...known), mean: known.reduce((a, b) => a + b, 0) / known.length, most: Math.max(...known) };
}

// thinned returns every nth sample, the newest first, for a table that people read.
export function thinned(samples, n) {
  return samples.filter((_, i) => (samples.length - 1 - i) % n === 0).reverse();
}
