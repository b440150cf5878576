import type { IChange } from './types';

/** The event that tells that something of a project changed. */
export const CHANGE_SCHEMA = 'https://jupyter-mlops.org/events/change/v1';

const KINDS: readonly string[] = [
  'run',
  'model',
  'schedule',
  'deployment',
  'pipeline',
  'snapshot',
  'sync',
  'job'
];

/** Read an event of the server; `null` when it is another extension's or of a later form. */
export function parseChange(event: Readonly<Record<string, unknown>>): IChange | null {
  if (event.schema_id !== CHANGE_SCHEMA || !KINDS.includes(String(event.kind))) {
    return null;
  }
  return {
    kind: event.kind as IChange['kind'],
    action: (event.action ?? 'updated') as IChange['action'],
    id: String(event.id ?? ''),
    project: String(event.project ?? '')
  };
}

/** What of a project's panel a change makes stale. */
export type Part =
  'status' | 'models' | 'runs' | 'snapshots' | 'pipelines' | 'schedules' | 'deployments';

export const PARTS: readonly Part[] = [
  'status',
  'models',
  'runs',
  'snapshots',
  'pipelines',
  'schedules',
  'deployments'
];

/** Which parts of its project a change touches. */
export function partsOf(change: IChange): Part[] {
  switch (change.kind) {
    case 'run':
      return ['runs', 'status'];
    case 'model':
      // A run's row says which version it became.
      return ['models', 'runs', 'status'];
    case 'schedule':
      return ['schedules'];
    case 'pipeline':
      return ['pipelines', 'schedules'];
    case 'snapshot':
      return ['snapshots'];
    case 'deployment':
      return ['deployments'];
    case 'sync':
      return ['status', 'models', 'runs'];
    case 'job':
      return [];
  }
}

/** Timers, replaceable in tests. */
export interface ITimers {
  set(callback: () => void, ms: number): unknown;
  clear(handle: unknown): void;
  now(): number;
}

const TIMERS: ITimers = {
  set: (callback, ms) => setTimeout(callback, ms),
  clear: handle => clearTimeout(handle as ReturnType<typeof setTimeout>),
  now: () => Date.now()
};

/**
 * Gathers changes that come in bursts (a delivery of many runs) and hands them over together:
 * `quiet` milliseconds after the last one, at the latest `longest` after the first.
 */
export class ChangeGatherer {
  constructor(
    private readonly _deliver: (changes: IChange[]) => void,
    private readonly _quiet = 150,
    private readonly _longest = 1000,
    private readonly _timers: ITimers = TIMERS
  ) {}

  add(change: IChange): void {
    const now = this._timers.now();
    if (this._waiting.length === 0) {
      this._first = now;
    }
    this._waiting.push(change);
    this._timers.clear(this._handle);
    const left = Math.max(0, this._first + this._longest - now);
    this._handle = this._timers.set(() => this._flush(), Math.min(this._quiet, left));
  }

  dispose(): void {
    this._timers.clear(this._handle);
    this._waiting = [];
  }

  private _flush(): void {
    const changes = this._waiting;
    this._waiting = [];
    this._deliver(changes);
  }

  private _waiting: IChange[] = [];
  private _first = 0;
  private _handle: unknown = undefined;
}
