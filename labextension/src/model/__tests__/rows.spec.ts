import type { Row } from '../rows';
import {
  buildRows,
  groupId,
  isGroupId,
  keepActive,
  keyAction,
  scrollTo,
  totalHeight,
  versionId,
  visibleRange
} from '../rows';
import { model, version } from './samples';

const models = [
  model('a', [version('a', 2), version('a', 1)]),
  model('b', [version('b', 1)]),
  model('empty', [])
];
const open = () => true;
const groups = (_: string, kind: string) => kind === 'group';
const ids = (rows: Row[]) => rows.map(row => row.id);

describe('buildRows', () => {
  it('lays rows out without gaps', () => {
    const rows = buildRows(models, open);
    rows.reduce((top, row) => {
      expect(row.top).toBe(top);
      expect(row.height).toBeGreaterThan(0);
      return top + row.height;
    }, 0);
    const last = rows[rows.length - 1];
    expect(totalHeight(rows)).toBe(last.top + last.height);
    expect(totalHeight([])).toBe(0);
  });

  it('shows what is unfolded', () => {
    expect(ids(buildRows(models, () => false))).toEqual(['m:a', 'm:b', 'm:empty']);
    expect(ids(buildRows(models, groups))).toEqual([
      'm:a',
      'v:a@2',
      'v:a@1',
      'm:b',
      'v:b@1',
      'm:empty'
    ]);
    const details = buildRows(models, id => id === 'm:b' || id === 'v:b@1');
    expect(ids(details)).toEqual(['m:a', 'm:b', 'v:b@1', 'd:v:b@1', 'm:empty']);
  });

  it('says where each row is in its list', () => {
    const rows = buildRows(models, groups);
    expect(rows[1]).toMatchObject({ position: 1, size: 2, parent: 'm:a' });
    expect(rows[3]).toMatchObject({ position: 2, size: 3 });
  });

  it('tells groups from versions by their ids', () => {
    expect(isGroupId(groupId('v:x'))).toBe(true);
    expect(isGroupId(versionId('m:x', 1))).toBe(false);
  });
});

describe('visibleRange', () => {
  const many = Array.from({ length: 2000 }, (_, i) => version('m', 2000 - i));
  const rows = buildRows([model('m', many)], groups);

  it('finds every row that is at least partly between the two, and no other', () => {
    for (const top of [0, 29, 30, 31, 50_000, totalHeight(rows) - 10, totalHeight(rows) + 5]) {
      const [start, end] = visibleRange(rows, top, top + 400);
      const expected = rows.filter(r => r.top + r.height > top && r.top < top + 400);
      expect(ids(rows.slice(start, end))).toEqual(ids(expected));
    }
  });

  it('draws a screenful of thousands', () => {
    const [start, end] = visibleRange(rows, 40_000, 40_400);
    expect(end - start).toBeLessThan(12);
  });
});

describe('keyAction', () => {
  const rows = buildRows(models, groups);
  const folded = buildRows(models, () => false);

  it.each([
    ['ArrowDown', 'm:a', { kind: 'activate', id: 'v:a@2' }],
    ['ArrowUp', 'v:a@2', { kind: 'activate', id: 'm:a' }],
    ['ArrowUp', 'm:a', null],
    ['ArrowDown', 'm:empty', null],
    ['Home', 'v:b@1', { kind: 'activate', id: 'm:a' }],
    ['End', 'm:a', { kind: 'activate', id: 'm:empty' }],
    ['PageDown', 'm:a', { kind: 'activate', id: 'm:empty' }],
    ['PageUp', 'v:b@1', { kind: 'activate', id: 'm:a' }],
    ['ArrowRight', 'm:a', { kind: 'activate', id: 'v:a@2' }],
    ['ArrowRight', 'v:a@2', { kind: 'toggle', id: 'v:a@2' }],
    ['ArrowLeft', 'v:a@1', { kind: 'activate', id: 'm:a' }],
    ['ArrowLeft', 'm:a', { kind: 'toggle', id: 'm:a' }],
    [' ', 'm:a', { kind: 'toggle', id: 'm:a' }],
    [' ', 'v:a@2', { kind: 'toggle', id: 'v:a@2' }],
    ['Enter', 'm:a', { kind: 'toggle', id: 'm:a' }],
    ['Enter', 'v:a@2', { kind: 'insert', id: 'v:a@2' }],
    ['x', 'v:a@2', null]
  ])('%s on %s', (key, active, action) => {
    expect(keyAction(rows, active, key)).toEqual(action);
  });

  it('unfolds a folded model first', () => {
    expect(keyAction(folded, 'm:a', 'ArrowRight')).toEqual({ kind: 'toggle', id: 'm:a' });
    expect(keyAction(folded, 'm:a', 'ArrowLeft')).toBeNull();
    expect(keyAction(folded, 'm:a', 'ArrowDown')).toEqual({ kind: 'activate', id: 'm:b' });
  });

  it('starts at the top when nothing is active, and does nothing on an empty tree', () => {
    expect(keyAction(rows, null, 'ArrowDown')).toEqual({ kind: 'activate', id: 'm:a' });
    expect(keyAction(rows, null, 'Enter')).toBeNull();
    expect(keyAction([], null, 'ArrowDown')).toBeNull();
  });

  it('skips details', () => {
    const all = buildRows(models, open);
    expect(keyAction(all, 'v:a@2', 'ArrowDown')).toEqual({ kind: 'activate', id: 'v:a@1' });
  });
});

describe('keepActive', () => {
  const before = buildRows(models, groups);

  it('keeps a row that is still there', () => {
    expect(keepActive(before, before, 'v:a@1')).toBe('v:a@1');
    expect(keepActive(before, before, null)).toBeNull();
  });

  it('goes to the nearest row when its own is gone', () => {
    const after = buildRows([model('a', [version('a', 2)]), models[1]], groups);
    expect(keepActive(before, after, 'v:a@1')).toBe('m:b');
    const without = buildRows([models[0]], groups);
    expect(keepActive(before, without, 'v:b@1')).toBe('v:a@1');
    expect(keepActive(before, [], 'v:a@1')).toBeNull();
  });
});

describe('scrollTo', () => {
  const row = buildRows(models, groups)[1];

  it('moves as little as shows the row whole', () => {
    expect(scrollTo(row, 0, 400)).toBe(0);
    expect(scrollTo(row, 50, 400)).toBe(row.top);
    expect(scrollTo(row, 0, 60)).toBe(row.top + row.height - 60);
  });
});
