import type { IJob } from './types';
import { ApiError } from './errors';
import { shorten } from './format';
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
  /** `equal`, `within_tolerance`, `differs` or `unproven`. */
  verdict: string;
  /** The command that takes it back. */
  undo: string | null;
  /** How many cells the pipeline has of the notebook's, and how many it does without. */
  kept: number | null;
  dropped: number | null;
  /** Why the proof says no more than it does. */
  reason: string | null;
  warnings: string[];
  /** What became of each file; `diff` is against what was there. */
  changes: IFileChange[];
}

export interface IFileChange {
  file: string;
  /** `new`, `changed`, `kept`, `merged` or `removed`. */
  status: string;
  diff: string;
}

/** Read the result of a finished promotion job: what `jupyter mlops promote --json` prints. */
export function readPromotion(job: IJob, asked: string): IPromoted {
  const result = job.result ?? {};
  const text = (key: string) => (typeof result[key] === 'string' ? (result[key] as string) : null);
  const count = (key: string) => (typeof result[key] === 'number' ? (result[key] as number) : null);
  const proof = record(result['proof']);
  return {
    name: text('name') ?? asked,
    verdict: text('verdict') ?? 'unproven',
    undo: text('undo'),
    kept: count('kept'),
    dropped: count('dropped'),
    reason: typeof proof.reason === 'string' ? proof.reason : null,
    warnings: list(result['warnings']).map(String),
    changes: list(result['changes'])
      .map(record)
      .map(({ file, status, diff }) => ({
        file: String(file ?? ''),
        status: String(status ?? ''),
        diff: String(diff ?? '')
      }))
      .filter(({ file }) => file !== '')
  };
}

/** A metric that a replay gave otherwise than the tracked run; empty where a side has none. */
export interface IDifference {
  metric: string;
  tracked: string;
  replayed: string;
}

/** The differences in a `replay_differs` error, `[]` when it lists none. */
export function differencesOf(error: ApiError): IDifference[] {
  const found = error.fields['differences'];
  if (!Array.isArray(found)) {
    return [];
  }
  return found
    .filter((row): row is Record<string, unknown> => typeof row === 'object' && row !== null)
    .map(row => ({
      metric: String(row.metric ?? ''),
      tracked: show(row.tracked),
      replayed: show(row.replayed)
    }));
}

/** A place that a person's edit and a new promotion both change; `null`: not there. */
export interface IConflict {
  where: string;
  /** The person's. */
  theirs: string | null;
  /** The new promotion's. */
  ours: string | null;
}

/** The places in a `conflict` error, `[]` when it lists none. */
export function conflictsOf(error: ApiError): IConflict[] {
  const text = (value: unknown) => (typeof value === 'string' ? value : null);
  return list(error.fields['conflicts'])
    .map(record)
    .map(({ where, theirs, ours }) => ({
      where: String(where ?? ''),
      theirs: text(theirs),
      ours: text(ours)
    }));
}

/** The differences in one line for a notification: `accuracy 0.91 is now 0.89`. */
export function summarize(differences: IDifference[], most = 90): string {
  const parts = differences.map(
    ({ metric, tracked, replayed }) => `${metric} ${tracked || '–'} → ${replayed || '–'}`
  );
  return shorten(parts.join(', '), most);
}

function list(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

/** In full: two metrics may differ in their last digit only. */
function show(value: unknown): string {
  return value === null || value === undefined ? '' : String(value);
}
