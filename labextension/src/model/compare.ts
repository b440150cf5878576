/** A value of two runs; `only` names the run that alone has it. */
export interface IDiffers {
  name: string;
  a: unknown;
  b: unknown;
  only: 'a' | 'b' | null;
}

/** A metric of two runs; `delta` is b - a. */
export interface IMetricDiffers {
  name: string;
  a: number | string | null;
  b: number | string | null;
  delta: number | null;
  better: 'a' | 'b' | null;
}

export interface IInputDiffers {
  name: string;
  /** `changed`, `renamed`, or the run that alone has it. */
  status: string;
  source: string | null;
  other: string | null;
  rows: [number | null, number | null];
  digests: [string | null, string | null];
  /** Columns that b has more, has less, has with another type. */
  added: string[];
  removed: string[];
  retyped: string[];
}

/** A unified diff under its heading. */
export interface ICodeDiff {
  name: string;
  only: 'a' | 'b' | null;
  diff: string | null;
}

/** A metric's `[step, value]` in both runs. */
export interface ICurve {
  name: string;
  a: [number, number][];
  b: [number, number][];
}

/** What differs between two runs, as the server says it. */
export interface IComparison {
  a: { run_id: string; name: string };
  b: { run_id: string; name: string };
  metrics: IMetricDiffers[];
  /** Tables of differing values, those without any left out. */
  tables: { kind: TableKind; rows: IDiffers[] }[];
  inputs: IInputDiffers[];
  code: ICodeDiff[];
  curves: ICurve[];
  /** What could not be compared, and why. */
  unknown: string[];
  /** Nothing that a result depends on is known to differ. */
  same: boolean;
}

const TABLES = [
  'params',
  'hyperparameters',
  'seeds',
  'models',
  'packages',
  'environment',
  'resources'
] as const;

export type TableKind = (typeof TABLES)[number] | 'git';

/** A line of a unified diff, by its first character. */
export type DiffLine = { kind: 'add' | 'remove' | 'place' | 'same'; text: string };

/** Read the server's answer; fields that are not understood are left out. */
export function readComparison(data: unknown): IComparison {
  const whole = object(data);
  const code = object(whole.code);
  const tables: IComparison['tables'] = TABLES.map(kind => ({ kind, rows: differs(whole[kind]) }));
  tables.splice(2, 0, { kind: 'git', rows: differs(code.git) });
  const source = text(code.source) ?? text(code.diff);
  return {
    a: label(whole.a),
    b: label(whole.b),
    metrics: objects(whole.metrics).map(item => ({
      name: text(item.name) ?? '',
      a: value(item.a),
      b: value(item.b),
      delta: number(item.delta),
      better: which(item.better)
    })),
    tables: tables.filter(table => table.rows.length > 0),
    inputs: objects(whole.inputs).map(item => ({
      name: text(item.name) ?? '',
      status: text(item.status) ?? 'changed',
      source: text(item.source),
      other: text(item.other),
      rows: [number(item.rows_a), number(item.rows_b)],
      digests: [text(item.digest_a), text(item.digest_b)],
      added: texts(item.added),
      removed: texts(item.removed),
      retyped: Object.entries(object(item.retyped)).map(
        ([name, types]) => `${name}: ${texts(types).join(' → ')}`
      )
    })),
    code: [
      ...(source === null ? [] : [{ name: '', only: null, diff: source }]),
      ...objects(code.modules).map(item => ({
        name: text(item.name) ?? '',
        only: which(item.only),
        diff: text(item.diff)
      }))
    ],
    curves: objects(whole.curves)
      .map(item => ({ name: text(item.name) ?? '', a: points(item.a), b: points(item.b) }))
      .filter(curve => Math.max(curve.a.length, curve.b.length) > 1),
    unknown: texts(whole.unknown),
    same: whole.same === true
  };
}

/** The lines of a unified diff; the two that name the files are left out. */
export function diffLines(diff: string): DiffLine[] {
  return diff
    .replace(/\n$/, '')
    .split('\n')
    .filter((line, index) => !(index < 2 && /^(---|\+\+\+)( |$)/.test(line)))
    .map(line => {
      switch (line[0]) {
        case '+':
          return { kind: 'add', text: line };
        case '-':
          return { kind: 'remove', text: line };
        case '@':
          return { kind: 'place', text: line };
        default:
          return { kind: 'same', text: line };
      }
    });
}

function differs(data: unknown): IDiffers[] {
  return objects(data).map(item => ({
    name: text(item.name) ?? '',
    a: item.a ?? null,
    b: item.b ?? null,
    only: which(item.only)
  }));
}

function label(data: unknown): { run_id: string; name: string } {
  const found = object(data);
  const runId = text(found.run_id) ?? '';
  return { run_id: runId, name: text(found.name) ?? runId };
}

function object(data: unknown): Record<string, unknown> {
  return typeof data === 'object' && data !== null ? (data as Record<string, unknown>) : {};
}

function objects(data: unknown): Record<string, unknown>[] {
  return Array.isArray(data) ? data.map(object) : [];
}

function text(data: unknown): string | null {
  return typeof data === 'string' && data !== '' ? data : null;
}

function texts(data: unknown): string[] {
  return Array.isArray(data) ? data.map(String) : [];
}

function number(data: unknown): number | null {
  return typeof data === 'number' && Number.isFinite(data) ? data : null;
}

function value(data: unknown): number | string | null {
  return typeof data === 'number' || typeof data === 'string' ? data : null;
}

function which(data: unknown): 'a' | 'b' | null {
  return data === 'a' || data === 'b' ? data : null;
}

function points(data: unknown): [number, number][] {
  return (Array.isArray(data) ? data : []).filter(
    (point): point is [number, number] =>
      Array.isArray(point) && point.length === 2 && point.every(Number.isFinite)
  );
}
