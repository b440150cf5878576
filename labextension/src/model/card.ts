import type { IRunModel } from './types';
import type { IRunState } from './mlops';

/** MIME type of the run card that a tracked cell displays. */
export const RUN_MIME = 'application/vnd.jupyter-mlops.run+json';

/** The form of the card that this code knows; a later one is shown as far as it is understood. */
export const CARD_VERSION = 1;

/** What a metric was before, and whether the change is for the better (`null`: neither). */
export interface IDelta {
  before: number | string | null;
  change: number;
  better: boolean | null;
}

/** A few dozen `[step, value]` of a metric that was logged `count` times. */
export interface ICourse {
  count: number;
  points: [number, number][];
}

/** Something that the result depends on; `digest` is the first digits of it. */
export interface IInput {
  name: string;
  kind: string;
  rows: number | null;
  columns: number | null;
  size: number | null;
  digest: string | null;
  source: string | null;
  reason: string | null;
  /** The version that keeps it: `name@3`. */
  snapshot: string | null;
  /** Bytes that this version was new on disk. */
  added: number | null;
}

/** A figure, a table, an output ... that was kept beside the run, or the reason why it was not. */
export interface IKeptFile {
  name: string;
  kind: string;
  size: number | null;
  kept: boolean;
  reason: string | null;
}

/** A run as its cell reported it: what the notebook file holds. */
export interface ICard {
  version: number;
  run_id: string;
  name: string;
  status: string;
  experiment: string | null;
  project: string | null;
  duration: number | null;
  params: Record<string, unknown>;
  /** JSON has no NaN and no infinities: those are words. */
  metrics: Record<string, number | string | null>;
  models: IRunModel[];
  register: string | null;
  registered_model: string | null;
  notebook: string | null;
  /** What the cell raised. */
  error: { name: string; message: string } | null;
  warnings: string[];
  /** Whether it is the session's first, which names the project's folder. */
  first: boolean;
  /** Nothing was recorded: there is no such run. */
  dry_run: boolean;
  /** The cell still runs; `metrics` are the latest. */
  live: boolean;
  /** What the run is compared with: the champion or the last run. */
  baseline: { label: string; run_id: string | null } | null;
  deltas: Record<string, IDelta>;
  hyperparameters: Record<string, unknown>;
  /** What parameters were in the baseline, where that is something else. */
  changed: Record<string, unknown>;
  series: Record<string, ICourse>;
  inputs: IInput[];
  files: IKeptFile[];
  bytes_kept: number | null;
  environment: { python: string; platform: string | null; packages: number | null } | null;
  git: { commit: string; branch: string | null; dirty: boolean } | null;
  modules: number;
  seeds: Record<string, unknown>;
  resources: Record<string, number>;
  left_out: Record<string, string>;
  /** How the run is seen in MLflow: a server's address, or the command that starts its interface. */
  mlflow: { uri: string | null; command: string | null; run: string | null } | null;
  /** How many secrets were replaced. */
  redacted: number;
  /** How many of each list or table the card does not hold. */
  cut: Record<string, number>;
}

/**
 * Read a card out of a notebook; `null` when it names no run.
 *
 * A notebook may come from anywhere: every field is checked, and what does not fit is left out.
 */
export function parseCard(data: unknown): ICard | null {
  if (!isObject(data) || typeof data.run_id !== 'string' || data.run_id === '') {
    return null;
  }
  return {
    version: typeof data.version === 'number' ? data.version : CARD_VERSION,
    run_id: data.run_id,
    name: text(data.name) ?? data.run_id,
    status: text(data.status) ?? 'UNKNOWN',
    experiment: text(data.experiment),
    project: text(data.project),
    duration: typeof data.duration === 'number' ? data.duration : null,
    params: isObject(data.params) ? data.params : {},
    metrics: numbers(data.metrics),
    models: models(data.models),
    register: text(data.register),
    registered_model: text(data.registered_model),
    notebook: text(data.notebook),
    error: isObject(data.error)
      ? { name: text(data.error.ename) ?? 'Error', message: text(data.error.evalue) ?? '' }
      : null,
    warnings: Array.isArray(data.warnings) ? data.warnings.map(String) : [],
    first: data.first === true,
    dry_run: data.dry_run === true,
    live: data.live === true,
    ...parseComparison(data),
    ...parseContents(data)
  };
}

/** What a card says of its run's way to the tracking server. */
export type CardPhase =
  | { kind: 'asking' }
  | { kind: 'waiting' }
  | { kind: 'unknown' }
  | { kind: 'delivered' }
  | { kind: 'registered'; versions: { name: string; version: number }[] };

/** Read what the server knows of a run; `null` before its first answer. */
export function cardPhase(live: IRunState | null): CardPhase {
  if (live === null) {
    return { kind: 'asking' };
  }
  const registered = live.run?.registered ?? [];
  if (registered.length > 0) {
    return { kind: 'registered', versions: registered };
  }
  if (live.run?.delivered === true) {
    return { kind: 'delivered' };
  }
  return live.expected ? { kind: 'waiting' } : { kind: 'unknown' };
}

/** Parameters, and the hyperparameters that are others than the baseline's: what is always shown. */
export function shownParams(card: ICard): Record<string, unknown> {
  const differing = Object.entries(card.hyperparameters).filter(([name]) => name in card.changed);
  return { ...card.params, ...Object.fromEntries(differing) };
}

/** Models whose bytes were kept, so that a version can be made of them; the chosen one first. */
export function registrable(card: ICard): IRunModel[] {
  const kept = card.models.filter(model => model.kept !== false);
  return [
    ...kept.filter(model => model.name === card.registered_model),
    ...kept.filter(model => model.name !== card.registered_model)
  ];
}

type Comparison = Pick<ICard, 'baseline' | 'deltas' | 'changed' | 'series'>;

function parseComparison(data: Record<string, unknown>): Comparison {
  const { baseline } = data;
  const label = isObject(baseline) ? text(baseline.label) : null;
  return {
    baseline:
      isObject(baseline) && label !== null ? { label, run_id: text(baseline.run_id) } : null,
    deltas: mapped(data.deltas, item =>
      isObject(item) && typeof item.change === 'number'
        ? {
            before: numbers({ before: item.before }).before,
            change: item.change,
            better: typeof item.better === 'boolean' ? item.better : null
          }
        : null
    ),
    changed: isObject(data.changed) ? data.changed : {},
    series: mapped(data.series, item =>
      isObject(item) && Array.isArray(item.points)
        ? { points: item.points.filter(isPoint), count: number(item.count) ?? item.points.length }
        : null
    )
  };
}

type Contents = Omit<ICard, keyof Comparison | Known>;
type Known =
  | 'version'
  | 'run_id'
  | 'name'
  | 'status'
  | 'experiment'
  | 'project'
  | 'duration'
  | 'params'
  | 'metrics'
  | 'models'
  | 'register'
  | 'registered_model'
  | 'notebook'
  | 'error'
  | 'warnings'
  | 'first'
  | 'dry_run'
  | 'live';

function parseContents(data: Record<string, unknown>): Contents {
  const { environment, git, mlflow } = data;
  const python = isObject(environment) ? text(environment.python) : null;
  const commit = isObject(git) ? text(git.commit) : null;
  return {
    hyperparameters: isObject(data.hyperparameters) ? data.hyperparameters : {},
    inputs: objects(data.inputs).map(item => ({
      name: text(item.name) ?? 'input',
      kind: text(item.kind) ?? '',
      rows: number(item.rows),
      columns: number(item.columns),
      size: number(item.size),
      digest: text(item.digest),
      snapshot: text(item.snapshot),
      added: number(item.added),
      source: text(item.source),
      reason: text(item.reason)
    })),
    files: objects(data.files).map(item => ({
      name: text(item.name) ?? 'file',
      kind: text(item.kind) ?? 'file',
      size: number(item.size),
      kept: item.kept === true,
      reason: text(item.reason)
    })),
    bytes_kept: number(data.bytes_kept),
    environment:
      isObject(environment) && python !== null
        ? { python, platform: text(environment.platform), packages: number(environment.packages) }
        : null,
    git:
      isObject(git) && commit !== null
        ? { commit, branch: text(git.branch), dirty: git.dirty === true }
        : null,
    modules: number(data.modules) ?? 0,
    seeds: isObject(data.seeds) ? data.seeds : {},
    resources: mapped(data.resources, number),
    left_out: mapped(data.left_out, text),
    mlflow: isObject(mlflow)
      ? { uri: httpAddress(mlflow.uri), command: text(mlflow.command), run: text(mlflow.run) }
      : null,
    redacted: number(data.redacted) ?? 0,
    cut: mapped(data.cut, number)
  };
}

/** An address that is safe to link to: never `javascript:` and the like. */
export function httpAddress(value: unknown): string | null {
  return typeof value === 'string' && /^https?:\/\/[^\s]+$/i.test(value) ? value : null;
}

/** The page of a run in MLflow's own interface. */
export function mlflowPage(uri: string, mlflowRunId: string): string {
  return `${uri.replace(/\/+$/, '')}/#/runs/${encodeURIComponent(mlflowRunId)}`;
}

function isPoint(value: unknown): value is [number, number] {
  return (
    Array.isArray(value) &&
    value.length === 2 &&
    value.every(item => typeof item === 'number' && Number.isFinite(item))
  );
}

function objects(value: unknown): Record<string, unknown>[] {
  return Array.isArray(value) ? value.filter(isObject) : [];
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** The entries of an object that `read` understands. */
function mapped<T>(value: unknown, read: (item: unknown) => T | null): Record<string, T> {
  const entries = isObject(value) ? Object.entries(value) : [];
  return Object.fromEntries(
    entries
      .map(([key, item]): [string, T | null] => [key, read(item)])
      .filter((entry): entry is [string, T] => entry[1] !== null)
  );
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value : null;
}

function numbers(value: unknown): ICard['metrics'] {
  if (!isObject(value)) {
    return {};
  }
  const entries = Object.entries(value).map(([key, item]): [string, number | string | null] => [
    key,
    typeof item === 'number' || typeof item === 'string' ? item : null
  ]);
  return Object.fromEntries(entries);
}

function models(value: unknown): IRunModel[] {
  if (!Array.isArray(value)) {
    return [];
  }
  return value.filter(isObject).map(model => ({
    name: text(model.name) ?? 'model',
    class_name: text(model.class_name) ?? '',
    kept: model.kept !== false,
    reason: text(model.reason),
    size: number(model.size)
  }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
