import type { IJob } from './types';
import { ApiError } from './errors';
import { formatNumber, formatValue, shorten } from './format';
import type { IApi } from './port';

/** How long to wait between looks at a job whose events do not come, in milliseconds. */
const LOOK_MS = 2000;

/** Follow a job to its end. Rejects with an `ApiError` when it failed. */
export async function finishJob(
  api: Pick<IApi, 'job'>,
  job: IJob,
  changed: (ms: number) => Promise<void>,
  progress: (message: string) => void = () => undefined
): Promise<IJob> {
  let current = job;
  let shown = '';
  while (current.state === 'running') {
    const message = current.message ?? '';
    if (message !== '' && message !== shown) {
      shown = message;
      progress(message);
    }
    await changed(LOOK_MS);
    current = await api.job(current.id);
  }
  if (current.state === 'failed') {
    const error = current.error;
    throw new ApiError({
      message: error?.message ?? current.message ?? 'It failed without saying why.',
      reason: error?.reason ?? 'unexpected',
      hint: error?.hint,
      fields: error?.fields
    });
  }
  return current;
}

/** What a promotion made, as its notification says it. */
export interface IPromoted {
  name: string;
  /** The folder, as the server names it: `pipelines/<name>`. */
  folder: string;
  /** `equal`, `within_tolerance`, `differs` or `unproven`. */
  verdict: string;
  undo: string | null;
  kept: number | null;
  dropped: number | null;
}

/** Read the result of a finished promotion job. */
export function readPromotion(job: IJob, asked: string): IPromoted {
  const result = job.result ?? {};
  const name = typeof result.name === 'string' ? result.name : asked;
  const proof = result.proof;
  const verdict =
    typeof proof === 'string'
      ? proof
      : typeof proof === 'object' && proof !== null
        ? ((proof as Record<string, unknown>).verdict ?? (proof as Record<string, unknown>).status)
        : null;
  return {
    name,
    folder: typeof result.folder === 'string' ? result.folder : `pipelines/${name}`,
    verdict: typeof verdict === 'string' ? verdict : 'unproven',
    undo: typeof result.undo === 'string' ? result.undo : null,
    kept: count(result.kept),
    dropped: count(result.dropped)
  };
}

/** A value that a replay gave otherwise than the tracked run. */
export interface IDifference {
  name: string;
  expected: string;
  actual: string;
}

/** The differences in a `replay_differs` error, `[]` when it lists none. */
export function differencesOf(error: ApiError): IDifference[] {
  const found = error.fields['differences'];
  if (Array.isArray(found)) {
    return found.map(item => {
      const row = (typeof item === 'object' && item !== null ? item : { name: item }) as Record<
        string,
        unknown
      >;
      return {
        name: String(pick(row, ['name', 'metric', 'what']) ?? ''),
        expected: show(pick(row, ['expected', 'tracked', 'before'])),
        actual: show(pick(row, ['actual', 'replayed', 'after']))
      };
    });
  }
  if (typeof found === 'object' && found !== null) {
    return Object.entries(found).map(([name, pair]) => {
      const [expected, actual] = Array.isArray(pair) ? pair : [pair, undefined];
      return { name, expected: show(expected), actual: show(actual) };
    });
  }
  return [];
}

/** The differences in one line for a notification: `accuracy 0.91 is now 0.89`. */
export function summarize(differences: IDifference[], most = 90): string {
  const parts = differences.map(({ name, expected, actual }) =>
    actual === '' ? `${name} ${expected}` : `${name} ${expected} → ${actual}`
  );
  return shorten(parts.join(', '), most);
}

function pick(row: Record<string, unknown>, names: string[]): unknown {
  const name = names.find(candidate => candidate in row);
  return name === undefined ? undefined : row[name];
}

function show(value: unknown): string {
  if (value === undefined || value === null) {
    return value === null ? 'none' : '';
  }
  return typeof value === 'number' ? formatNumber(value) : formatValue(value);
}

function count(value: unknown): number | null {
  if (Array.isArray(value)) {
    return value.length;
  }
  return typeof value === 'number' ? value : null;
}
