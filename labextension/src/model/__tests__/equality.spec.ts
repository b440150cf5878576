import { reconcile } from '../equality';
import { model, version } from './samples';

describe('reconcile', () => {
  it('returns the very same object for an equal answer', () => {
    const before = [model('a', [version('a', 2), version('a', 1)]), model('b', [])];
    const after = structuredClone(before);
    expect(reconcile(before, after)).toBe(before);
  });

  it('keeps what did not change when a version is added in front', () => {
    const before = [model('a', [version('a', 1)]), model('b', [version('b', 1)])];
    const after = structuredClone(before);
    after[0].versions.unshift(version('a', 2));
    const merged = reconcile(before, after);
    expect(merged).toEqual(after);
    expect(merged[0]).not.toBe(before[0]);
    expect(merged[0].versions[1]).toBe(before[0].versions[0]);
    expect(merged[1]).toBe(before[1]);
  });

  it('keeps siblings of a changed item', () => {
    const before = [version('a', 2), version('a', 1)];
    const after = structuredClone(before);
    after[1].aliases = ['champion'];
    const merged = reconcile(before, after);
    expect(merged[0]).toBe(before[0]);
    expect(merged[1].aliases).toEqual(['champion']);
    expect(merged[1].metrics).toBe(before[1].metrics);
  });

  it.each([
    ['a removed key', { a: 1, b: 2 }, { a: 1 }],
    ['an added key', { a: 1 }, { a: 1, b: undefined }],
    ['a removed item', [1, 2], [1]],
    ['another order', [{ id: 'x' }, { id: 'y' }], [{ id: 'y' }, { id: 'x' }]],
    ['another type', { a: [] }, { a: {} }],
    ['null', { a: {} }, { a: null }]
  ])('sees %s', (_, before, after) => {
    const merged = reconcile(before, after);
    expect(merged).not.toBe(before);
    expect(merged).toEqual(after);
  });

  it('treats NaN as equal to itself', () => {
    const before = { value: NaN };
    expect(reconcile(before, { value: NaN })).toBe(before);
  });
});
