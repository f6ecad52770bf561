import test from 'node:test';
import assert from 'node:assert/strict';
import * as series from '../assets/series.js';

const at = (...times) => times.map((t) => ({ at: t }));

test('a page keeps its own past where the server has none, and no more than it may', () => {
  assert.deepEqual(series.joined(at(1, 2, 3), at(3, 4), 10), at(1, 2, 3, 4));
  assert.deepEqual(series.joined(at(1, 2, 3), [], 2), at(2, 3));
  assert.deepEqual(series.joined([], at(5), 10), at(5));
  assert.deepEqual(series.joined(at(7, 8), at(5, 6), 10), at(5, 6)); // the clock went back
});

test('an axis ends at a round number, and holds all', () => {
  for (const [most, top] of [[0, 1], [1, 1], [1.2, 2], [2, 2], [3, 3], [7, 8], [4.1, 6], [99, 100], [101, 200], [0.0003, 0.0003], [NaN, 1]]) {
    assert.ok(Math.abs(series.niceTop(most) - top) < 1e-9, `${most}: ${series.niceTop(most)}`);
  }
});

test('what is stacked ends at the sum', () => {
  assert.deepEqual(series.stacked([[1, 2, null], [10, 20, 3]]), [[1, 2, null], [11, 22, 3]]);
});

test('a line is cut where samples are missing or have no value', () => {
  const begins = series.withGaps(at(1, 2, 9, 10), 1);
  assert.deepEqual([...begins], [0, 2]);
  assert.equal(series.linePath([1, 2, 3, 4], [5, 6, 7, 8], begins), 'M1 5L2 6M3 7L4 8');
  assert.equal(series.linePath([1, 2, 3], [5, null, 7], new Set([0])), 'M1 5h.01M3 7h.01');
  assert.equal(series.linePath([], [], new Set([0])), '');
  assert.equal(series.areaPath([1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 0, 0], begins), 'M1 5L2 6L2 0L1 0ZM3 7L4 8L4 0L3 0Z');
});

test('the nearest sample, the spread, and every tenth', () => {
  assert.equal(series.nearest(at(1, 5, 9), 6), 1);
  assert.equal(series.nearest([], 6), -1);
  assert.deepEqual(series.spread([3, null, 1]), { least: 1, mean: 2, most: 3 });
  assert.equal(series.spread([null]), null);
  assert.deepEqual(series.thinned(at(1, 2, 3, 4, 5), 2), at(5, 3, 1));
});
