import { choose, keyMetric, pairOf } from '../runs';
import type { IRunSummary } from '../types';
import { run } from './samples';

function listed(id: string, started: number): IRunSummary {
  return { ...run(id), registered: null, started };
}

describe('keyMetric', () => {
  it.each([
    [{}, null],
    [{ n: 1, val_loss: 2, accuracy: 3 }, 'accuracy'],
    [{ n: 1, val_LOSS: 2 }, 'val_LOSS'],
    [{ n: 1, floss: 2 }, 'n']
  ])('of %p is %p', (metrics, name) => {
    expect(keyMetric(metrics as Record<string, number>)).toBe(name);
  });
});

describe('choosing', () => {
  it('keeps the last two, and lets go', () => {
    expect(choose([], 'a')).toEqual(['a']);
    expect(choose(['a', 'b'], 'c')).toEqual(['b', 'c']);
    expect(choose(['a', 'b'], 'a')).toEqual(['b']);
  });

  it('makes a pair of two that are there, the earlier first', () => {
    const runs = [listed('new', 9), listed('old', 1), listed('other', 5)];
    expect(pairOf(runs, ['new', 'old'])?.map(item => item.run_id)).toEqual(['old', 'new']);
    expect(pairOf(runs, ['new', 'gone'])).toBeNull();
    expect(pairOf(runs, ['new'])).toBeNull();
  });
});
