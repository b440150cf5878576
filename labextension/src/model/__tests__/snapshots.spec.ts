import { ProjectData } from '../project';
import {
  distinctText,
  figureText,
  hasMore,
  largestFirst,
  pagePlace,
  pairOf,
  parseSpec,
  quantiles,
  restoreCode,
  rowText,
  shapeOf,
  tagProblem,
  topValues,
  variableName
} from '../snapshots';
import type { ISnapshotColumn, ISnapshotRow } from '../types';
import { RecordingApi, settle, snapshot } from './samples';

const column = (change: Partial<ISnapshotColumn> = {}): ISnapshotColumn => ({
  name: 'price',
  type: 'float64',
  missing: 0,
  distinct: null,
  min: null,
  max: null,
  mean: null,
  std: null,
  quantiles: {},
  top: [],
  top_of: null,
  lengths: null,
  ...change
});

describe('code that restores', () => {
  it.each([
    ['customers', 'customers = %restore customers@3'],
    ['data/flights.csv', 'flights = %restore data/flights.csv@3'],
    ['train.ipynb/df', 'df = %restore train.ipynb/df@3'],
    ['Größe', 'Größe = %restore Größe@3'],
    ['2024-sales', '_2024_sales = %restore 2024-sales@3'],
    // What a shell, IPython or the magic itself would take for something else.
    ['my data', 'import jupyter_mlops\nmy_data = jupyter_mlops.load("my data@3")'],
    ['--trust', 'import jupyter_mlops\ntrust = jupyter_mlops.load("--trust@3")'],
    ['a{b}', 'import jupyter_mlops\na_b = jupyter_mlops.load("a{b}@3")'],
    ['x"; rm', 'import jupyter_mlops\nx_rm = jupyter_mlops.load("x\\"; rm@3")']
  ])('of %s', (name, code) => {
    expect(restoreCode({ name, version: 3 })).toBe(code);
  });

  it('names a variable that Python takes', () => {
    expect(variableName('data/class')).toBe('class_');
    expect(variableName('***')).toBe('data');
    expect(variableName('.hidden')).toBe('hidden');
  });
});

describe('parseSpec', () => {
  it('takes a version by its number only', () => {
    expect(parseSpec('data/flights.csv@12')).toEqual({ name: 'data/flights.csv', version: 12 });
    expect(parseSpec('snapshot://a b@v3')).toEqual({ name: 'a b', version: 3 });
    for (const wrong of ['', 'a', 'a@', 'a@latest', '@3', 'a@3@4', 'a@3\n']) {
      expect(parseSpec(wrong)).toBeNull();
    }
  });
});

describe('what is listed', () => {
  it('says the shape, or the kind of what has none', () => {
    expect(shapeOf(snapshot('a', 1), 'en')).toBe('1,000 × 12');
    expect(shapeOf(snapshot('a', 1, { kind: 'series', columns: null }), 'en')).toBe('series 1,000');
    expect(shapeOf(snapshot('a', 1, { kind: 'file', rows: null, columns: null }))).toBe('file');
  });

  it('pairs the two chosen that are there, the earlier first', () => {
    const names = [
      { name: 'a', count: 2, versions: [snapshot('a', 2), snapshot('a', 1)] },
      { name: 'b', count: 1, versions: [snapshot('b', 1, { created: 5 })] }
    ];
    const specs = (chosen: string[]) => pairOf(names, chosen)?.map(item => item.spec);
    expect(specs(['a@2', 'a@1'])).toEqual(['a@1', 'a@2']);
    expect(specs(['a@1', 'b@1'])).toEqual(['b@1', 'a@1']);
    expect(specs(['a@1'])).toBeUndefined();
    expect(specs(['a@1', 'gone@1'])).toBeUndefined();
  });

  it('asks anew when other snapshots are wanted, and only then', async () => {
    const api = new RecordingApi();
    const project = new ProjectData('k', 'p', api);
    await project.want({ search: 'raw' });
    await project.want({ search: 'raw' });
    expect(project.wanted).toMatchObject({ search: 'raw', automatic: false });
    await project.want({ automatic: true });
    await settle();
    expect(api.count('snapshots')).toBe(2);
  });
});

describe('pages', () => {
  it('know their place and their neighbours', () => {
    expect(pagePlace(0, 50, 50, 120)).toEqual({ from: 1, to: 50, before: null, after: 50 });
    expect(pagePlace(50, 50, 50, 120)).toEqual({ from: 51, to: 100, before: 0, after: 100 });
    expect(pagePlace(100, 20, 50, 120)).toEqual({ from: 101, to: 120, before: 50, after: null });
    // The server cuts pages of wide frames short.
    expect(pagePlace(0, 3, 50, 7)).toEqual({ from: 1, to: 3, before: null, after: 3 });
    expect(pagePlace(0, 0, 50, 0)).toEqual({ from: 0, to: 0, before: null, after: null });
  });
});

describe('figures of a column', () => {
  it('read as people write them', () => {
    expect(figureText(null)).toBe('–');
    expect(figureText(1234567, 'en')).toBe('1,234,567');
    expect(figureText('1152921504606846976')).toBe('1152921504606846976');
    expect(figureText('2026-11-21T00:00:00.000000000')).toBe('2026-11-21');
    expect(figureText('2026-11-21T10:30:00')).toBe('2026-11-21T10:30:00');
    expect(figureText('2026-03-25T07:00:00.000000')).toBe('2026-03-25T07:00:00');
    expect(figureText('1.000')).toBe('1.000');
    expect(figureText(true)).toBe('true');
    expect(distinctText(column())).toBe('–');
    expect(distinctText(column({ distinct: { count: 1234, exact: false } }), 'en')).toBe('~1,234');
    expect(distinctText(column({ distinct: { count: 3, exact: true } }))).toBe('3');
  });

  it('come in order', () => {
    const found = column({ quantiles: { '0.99': 9, '0.05': 1, '0.5': 2.5 } });
    expect(quantiles(found, 'en')).toEqual([
      ['5%', '1'],
      ['50%', '2.5'],
      ['99%', '9']
    ]);
    expect(hasMore(found)).toBe(true);
    expect(hasMore(column())).toBe(false);
  });

  it('give top values with their part', () => {
    const top = [
      { value: 'Bern', count: 30 },
      { value: '', count: 10 }
    ];
    expect(topValues(column({ top, top_of: 100 }))).toEqual([
      { value: 'Bern', count: 30, part: 0.3 },
      { value: "''", count: 10, part: 0.1 }
    ]);
    expect(topValues(column({ top }))[0].part).toBe(0.75);
    expect(topValues(column({ top: [{ value: 1, count: 0 }] }))[0].part).toBe(0);
    const once = [1, 2, 3].map(value => ({ value, count: 1 }));
    expect(topValues(column({ top: once }))).toEqual([]);
  });
});

describe('rows', () => {
  it('are said in a line that ends', () => {
    const row: ISnapshotRow = {
      change: 'added',
      label: 'row 7',
      a: null,
      b: 7,
      cells: ['a', 'b', 'c'].map(name => ({ column: name, a: null, b: '1' })),
      more: 20
    };
    expect(rowText(row, 2)).toEqual({ text: 'a 1, b 1', more: 21 });
    const gone = { ...row, more: 0, cells: [{ column: 'a', a: "'x'", b: null }] };
    expect(rowText(gone)).toEqual({ text: "a 'x'", more: 0 });
  });
});

describe('tags', () => {
  it('are refused as the server refuses them', () => {
    expect(tagProblem('')).toBe('empty');
    for (const tag of ['latest', '3', 'v3', '2026-11', '2026-11-21T10:00']) {
      expect(tagProblem(tag)).toBe('reserved');
    }
    for (const tag of ['a@b', 'a\nb']) {
      expect(tagProblem(tag)).toBe('characters');
    }
    expect(tagProblem('x'.repeat(201))).toBe('long');
    for (const tag of ['raw', 'v3-final', '20261121x', 'für Anna']) {
      expect(tagProblem(tag)).toBeNull();
    }
  });
});

test('names by what they take alone, then by what they take', () => {
  const name = (name: string, own: number, stored: number) => ({
    name,
    own,
    stored,
    versions: 1,
    raw: stored,
    saved: 0,
    automatic: 0
  });
  const names = [name('b', 0, 5), name('a', 0, 5), name('c', 0, 9), name('d', 3, 3)];
  const usage = { total: 9, dead: 0, unshared: 22, saved: 13, names, unreadable: [] };
  expect(largestFirst(usage).map(row => row.name)).toEqual(['d', 'c', 'a', 'b']);
  expect(names[0].name).toBe('b'); // What the server said is left as it is.
});
