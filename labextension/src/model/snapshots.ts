import type {
  ISnapshot,
  ISnapshotColumn,
  ISnapshotName,
  ISnapshotRow,
  ISnapshotUsage
} from './types';
import { formatNumber, shorten } from './format';

/** Names that the panel lists; the filter finds the others. */
export const SHOWN_NAMES = 200;

/** Versions of a name that are listed at first, and at most. */
export const FIRST_VERSIONS = 10;
export const MOST_VERSIONS = 100;

/** Rows of a difference, and columns of a version, on one page. */
export const PAGE_ROWS = 50;
export const PAGE_COLUMNS = 100;

/** What the panel remembers a name's folding by. */
export function snapshotId(name: string): string {
  return `s:${name}`;
}

/** `name@3` as its parts; `null` for anything else. A name may hold anything but `@`. */
export function parseSpec(spec: string): { name: string; version: number } | null {
  const match = /^([^@]+)@v?(\d+)$/.exec(spec.replace(/^snapshot:\/\//, ''));
  return match === null ? null : { name: match[1], version: Number(match[2]) };
}

const KEYWORDS = new Set(
  (
    'False None True and as assert async await break class continue def del elif else except ' +
    'finally for from global if import in is lambda nonlocal not or pass raise return try while ' +
    'with yield'
  ).split(' ')
);

/** A variable for what `name` keeps: `flights` for `data/flights.csv`. */
export function variableName(name: string): string {
  const last = name.split(/[/\\]/).filter(Boolean).pop() ?? '';
  const stem = last.replace(/(?!^)\.\w{1,8}$/, '');
  const word = stem.replace(/[^\p{L}\p{N}_]+/gu, '_').replace(/^_+|_+$/g, '');
  if (word === '') {
    return 'data';
  }
  return /^\p{N}/u.test(word) ? `_${word}` : KEYWORDS.has(word) ? `${word}_` : word;
}

/**
 * Code that loads a version. The magic takes words as a shell does, and IPython fills in `{...}` and
 * `$...`: a name with anything out of the ordinary is loaded by the function instead.
 */
export function restoreCode({ name, version }: { name: string; version: number }): string {
  const variable = variableName(name);
  const spec = `${name}@${version}`;
  return /^[\p{L}\p{N}_./][\p{L}\p{N}_./-]*$/u.test(name)
    ? `${variable} = %restore ${spec}`
    : `import jupyter_mlops\n${variable} = jupyter_mlops.load(${JSON.stringify(spec)})`;
}

/** `1,000 × 12`; `series 1,000` for what has no columns, `file` for what has no rows either. */
export function shapeOf({ kind, rows, columns }: ISnapshot, locale?: string): string {
  if (rows === null) {
    return kind;
  }
  const count = rows.toLocaleString(locale);
  return columns === null ? `${kind} ${count}` : `${count} × ${columns.toLocaleString(locale)}`;
}

/** The two chosen versions that are still listed, the earlier first; `null` without two. */
export function pairOf(
  names: readonly ISnapshotName[],
  chosen: readonly string[]
): [ISnapshot, ISnapshot] | null {
  const found = names
    .flatMap(item => item.versions)
    .filter(version => chosen.includes(version.spec))
    .sort((one, other) => one.created - other.created || one.version - other.version);
  return found.length === 2 ? [found[0], found[1]] : null;
}

/** Where a page lies: `from` and `to` count from 1; `before` and `after` are the next offsets. */
export interface IPlace {
  from: number;
  to: number;
  before: number | null;
  after: number | null;
}

/** Place a page of `shown` items from `offset` among `total`. */
export function pagePlace(offset: number, shown: number, size: number, total: number): IPlace {
  return {
    from: shown === 0 ? 0 : offset + 1,
    to: offset + shown,
    before: offset === 0 ? null : Math.max(0, offset - size),
    after: shown > 0 && offset + shown < total ? offset + shown : null
  };
}

type Scalar = ISnapshotColumn['min'];

/** A figure of a column: numbers short, the rest as it is, nothing as a dash. */
export function figureText(value: Scalar | undefined, locale?: string): string {
  if (value === null || value === undefined) {
    return '–';
  }
  return typeof value === 'number'
    ? formatNumber(value, locale)
    : shorten(plainTime(String(value)), 40);
}

/** A moment in ISO 8601 without what is all zeros; anything else as it is. */
export function plainTime(text: string): string {
  return /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d/.test(text)
    ? text.replace(/\.0+$/, '').replace(/T00:00:00$/, '')
    : text;
}

/** `12` or, where it was estimated, `~1,234`. */
export function distinctText(column: ISnapshotColumn, locale?: string): string {
  const { distinct } = column;
  return distinct === null
    ? '–'
    : (distinct.exact ? '' : '~') + distinct.count.toLocaleString(locale);
}

/** `[label, value]` of each quantile, in order: `['5%', '1.2']`. */
export function quantiles(column: ISnapshotColumn, locale?: string): [string, string][] {
  return Object.entries(column.quantiles)
    .map(([part, value]) => [Number(part), value] as const)
    .filter(([part]) => Number.isFinite(part))
    .sort(([one], [other]) => one - other)
    .map(([part, value]) => [`${Number((part * 100).toFixed(2))}%`, figureText(value, locale)]);
}

/**
 * Top values with the part of the rows that hold each, from 0 to 1; none where each stands once,
 * as in a key.
 */
export function topValues(
  column: ISnapshotColumn
): { value: string; count: number; part: number }[] {
  if (column.top.every(item => item.count <= 1) && column.top.length > 1) {
    return [];
  }
  const of = column.top_of ?? column.top.reduce((sum, item) => sum + item.count, 0);
  return column.top.map(({ value, count }) => ({
    value: value === '' ? "''" : figureText(value),
    count,
    part: of > 0 ? Math.min(1, count / of) : 0
  }));
}

/** Whether there is more to say of a column than one line holds. */
export function hasMore(column: ISnapshotColumn): boolean {
  return (
    column.top.length > 0 || Object.keys(column.quantiles).length > 0 || column.lengths !== null
  );
}

/** A row that was added or removed, in a line: `id 7, city 'Bern'`; at most `most` cells. */
export function rowText(row: ISnapshotRow, most = 8): { text: string; more: number } {
  const cells = row.cells.slice(0, most);
  return {
    text: cells.map(cell => `${cell.column} ${cell.b ?? cell.a ?? ''}`).join(', '),
    more: row.cells.length - cells.length + row.more
  };
}

/** The names by what removing them would free, then by what they take. */
export function largestFirst(usage: ISnapshotUsage): ISnapshotUsage['names'] {
  return [...usage.names].sort(
    (a, b) => b.own - a.own || b.stored - a.stored || a.name.localeCompare(b.name)
  );
}

/** What is wrong with a tag; the server refuses it for the same reasons. */
export function tagProblem(tag: string): 'empty' | 'reserved' | 'characters' | 'long' | null {
  if (tag === '') {
    return 'empty';
  }
  if (tag === 'latest' || /^v?\d+$/.test(tag) || /^\d{4}-\d{2}/.test(tag)) {
    return 'reserved';
  }
  // eslint-disable-next-line no-control-regex
  if (/[@\x00-\x1f\x7f]/.test(tag)) {
    return 'characters';
  }
  return [...tag].length > 200 ? 'long' : null;
}
