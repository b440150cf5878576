import { readComparison } from '../compare';
import type { IApi } from '../port';
import type {
  IModelVersion,
  IRegisteredModel,
  IRun,
  ISnapshot,
  ISnapshotDiffPart,
  IStatus
} from '../types';

/** Shapes as the server answers them, with what a test changes. */

export function version(
  name: string,
  number: number,
  change: Partial<IModelVersion> = {}
): IModelVersion {
  return {
    name,
    version: number,
    uri: `models:/${name}/${number}`,
    created: 1_760_000_000 + number,
    aliases: [],
    run_id: `01JDABCDEFGHJKMNPQRSTVWX${String(number).padStart(2, '0')}`,
    mlflow_run_id: null,
    run_name: `fit-${number}`,
    notebook: 'notebooks/churn.ipynb',
    pipeline: null,
    class_name: 'RandomForestClassifier',
    status: 'READY',
    source: null,
    metrics: { accuracy: 0.9 + number / 1000 },
    key_metric: { name: 'accuracy', value: 0.9 + number / 1000 },
    ...change
  };
}

export function model(name: string, versions: IModelVersion[]): IRegisteredModel {
  return { name, description: '', updated: 1_760_000_000, versions };
}

export function status(change: Partial<IStatus> = {}): IStatus {
  return {
    version: '0.1.0',
    project: { name: 'churn', root: '~/churn', path: 'churn', exists: true, key: 'k'.repeat(16) },
    problem: null,
    tracking: { uri: 'sqlite', local: true, level: 'full', synced_at: 1, error: null },
    waiting: 0,
    agent: { running: true, pid: 1, enabled: true },
    ...change
  };
}

export function snapshot(name: string, number: number, change: Partial<ISnapshot> = {}): ISnapshot {
  return {
    name,
    version: number,
    spec: `${name}@${number}`,
    created: 1_760_000_000 + number,
    message: null,
    tags: [],
    kind: 'frame',
    rows: 1000,
    columns: 12,
    size: 96_000,
    added: 1200,
    digest: `blake3:${'0'.repeat(64)}`,
    automatic: false,
    run: null,
    ...change
  };
}

const NOTHING: ISnapshotDiffPart = {
  name: '',
  kind: 'frame',
  summary: 'They are equal.',
  facts: [],
  counts: {},
  schema: [],
  schema_total: 0,
  statistics: [],
  statistics_total: 0,
  total: 0,
  rows: [],
  lines: '',
  cut: false
};

export function run(id: string, change: Partial<IRun> = {}): IRun {
  return {
    run_id: id,
    mlflow_run_id: null,
    name: 'fit',
    status: 'FINISHED',
    kind: 'cell',
    started: 1,
    ended: 2,
    duration: 1,
    delivered: false,
    session: null,
    experiment: null,
    notebook: null,
    pipeline: null,
    parent: null,
    params: {},
    metrics: {},
    models: [],
    registered: [],
    warnings: [],
    note: null,
    details: {
      origin: 'journal',
      complete: true,
      problem: null,
      source: null,
      cell_id: null,
      error: null,
      hyperparameters: {},
      series: {},
      inputs: [],
      files: [],
      environment: null,
      git: { commit: null, branch: null, dirty: null },
      modules: {},
      seeds: {},
      resources: {},
      left_out: {},
      tags: {}
    },
    ...change
  };
}

/** An `IApi` whose answers a test sets, and that counts what was asked. */
export class RecordingApi implements IApi {
  readonly asked: string[] = [];
  answers: { [K in keyof IApi]?: (...args: Parameters<IApi[K]>) => ReturnType<IApi[K]> } = {};

  count(what: keyof IApi): number {
    return this.asked.filter(item => item.startsWith(`${what}(`)).length;
  }

  status = this._method('status', async () => status());
  projects = this._method('projects', async () => []);
  models = this._method('models', async () => []);
  code = this._method('code', async (_, name, number) => `load("${name}@${number}")`);
  register = this._method('register', async (_, __, name) => version(name, 1));
  setAlias = this._method('setAlias', async (_, name, alias, number) => ({
    name,
    alias,
    version: number,
    previous: null,
    undo: null
  }));
  revertAlias = this._method('revertAlias', async (_, name, alias) => ({
    name,
    alias,
    version: null,
    previous: null,
    undo: null
  }));
  runs = this._method('runs', async () => []);
  renameRun = this._method('renameRun', async () => undefined);
  deleteRun = this._method('deleteRun', async () => undefined);
  restoreRun = this._method('restoreRun', async () => undefined);
  run = this._method('run', async (_, id) => run(id));
  compare = this._method('compare', async (_, a, b) =>
    readComparison({ a: { run_id: a }, b: { run_id: b }, same: true })
  );
  snapshots = this._method('snapshots', async () => ({ names: [], total: 0, hidden: 0 }));
  snapshot = this._method('snapshot', async (_, spec) => ({
    version: snapshot(spec.split('@')[0], 1),
    parent: null,
    index: '',
    columns: [],
    total: 0,
    chunks: 0
  }));
  snapshotRuns = this._method('snapshotRuns', async () => ({ runs: [], searched: 0 }));
  snapshotUsage = this._method('snapshotUsage', async () => ({
    total: 0,
    dead: 0,
    unshared: 0,
    saved: 0,
    names: [],
    unreadable: []
  }));
  snapshotDiff = this._method('snapshotDiff', async (_, a, b, __, page) => ({
    a: snapshot(a, 1),
    b: snapshot(b, 2),
    equal: true,
    offset: page.offset,
    whole: NOTHING,
    items: [],
    items_total: 0
  }));
  tagSnapshot = this._method('tagSnapshot', async (_, name, number) => ({
    version: snapshot(name, number),
    before: null,
    undo: ''
  }));
  untagSnapshot = this._method('untagSnapshot', async (_, name) => ({
    version: snapshot(name, 1),
    before: 1,
    undo: ''
  }));
  removeSnapshot = this._method('removeSnapshot', async () => undefined);
  restoreSnapshot = this._method('restoreSnapshot', async () => undefined);
  schedules = this._method('schedules', async () => ({ schedules: [], agent_running: true }));
  pipelines = this._method('pipelines', async () => ({ pipelines: [], broken: [] }));
  runPipeline = this._method('runPipeline', async () => ({
    id: '01J00000000000000000000000',
    kind: 'run' as const,
    state: 'done' as const,
    message: 'It has run.',
    result: null,
    error: null
  }));
  deployments = this._method('deployments', async () => []);
  stopDeployment = this._method('stopDeployment', async () => undefined);
  plan = this._method('plan', async () => {
    throw new Error('not set');
  });
  promote = this._method('promote', async () => {
    throw new Error('not set');
  });
  job = this._method('job', async () => {
    throw new Error('not set');
  });
  check = this._method('check', async () => []);
  sync = this._method('sync', async () => undefined);

  private _method<K extends keyof IApi>(name: K, fallback: IApi[K]): IApi[K] {
    const call = (...args: unknown[]) => {
      this.asked.push(`${name}(${args.join(',')})`);
      const answer = (this.answers[name] ?? fallback) as (...args: unknown[]) => unknown;
      return answer(...args);
    };
    return call as IApi[K];
  }
}

/** Let promises that are already resolved run their course. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 20; turn++) {
    await Promise.resolve();
  }
}
