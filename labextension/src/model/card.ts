import type { IRegisteredModel, IRunModel } from './types';
import type { IRunState } from './mlops';

/** MIME type of the run card that a tracked cell displays. */
export const RUN_MIME = 'application/vnd.jupyter-mlops.run+json';

/** The form of the card that this code knows; a later one is shown as far as it is understood. */
export const CARD_VERSION = 1;

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
    dry_run: data.dry_run === true
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

/** Models whose bytes were kept, so that a version can be made of them; the chosen one first. */
export function registrable(card: ICard): IRunModel[] {
  const kept = card.models.filter(model => model.kept !== false);
  return [
    ...kept.filter(model => model.name === card.registered_model),
    ...kept.filter(model => model.name !== card.registered_model)
  ];
}

/**
 * A name for the registered model: what the cell said, else the model that this notebook has made
 * versions of before with the same class, else the notebook's name as a slug.
 */
export function suggestName(card: ICard, notebook: string, known: IRegisteredModel[]): string {
  if (card.register !== null) {
    return card.register;
  }
  const classes = new Set(registrable(card).map(model => model.class_name));
  const before = known
    .flatMap(model => model.versions)
    .filter(
      version =>
        card.notebook !== null &&
        version.notebook === card.notebook &&
        version.class_name !== null &&
        classes.has(version.class_name)
    )
    .sort((a, b) => b.created - a.created)[0];
  if (before !== undefined) {
    return before.name;
  }
  const file = (card.notebook || notebook).split('/').pop() ?? '';
  const slug = slugify(file.replace(/\.ipynb$/i, ''));
  return slug || slugify(registrable(card)[0]?.name ?? '') || 'model';
}

/** A name for a pipeline, from its notebook's file name. */
export function pipelineName(notebook: string): string {
  const file = (notebook.split('/').pop() ?? '').replace(/\.ipynb$/i, '');
  const name = file.normalize('NFKD').replace(/[^A-Za-z0-9._-]+/g, '-');
  return name.replace(/^[._-]+|-+$/g, '').slice(0, 100) || 'pipeline';
}

/** Whether a pipeline can have this name. Same rule as `pipeline.yaml`'s. */
export function isPipelineName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/.test(name);
}

/** Why `name` cannot name a registered model; `null` when it can. Same rule as the server's. */
export function nameProblem(name: string): 'empty' | 'characters' | 'long' | null {
  if (name.trim() === '') {
    return 'empty';
  }
  // eslint-disable-next-line no-control-regex
  if (/[\x00-\x1f/:@\\]/.test(name) || name.trim() !== name) {
    return 'characters';
  }
  return [...name].length > 200 ? 'long' : null;
}

/** Why `alias` cannot be an alias; `null` when it can. Same rule as the server's. */
export function aliasProblem(alias: string): 'empty' | 'characters' | 'reserved' | null {
  if (alias === '') {
    return 'empty';
  }
  if (/^(v\d+|latest)$/i.test(alias)) {
    return 'reserved';
  }
  return /^[A-Za-z_][A-Za-z0-9_.-]{0,99}$/.test(alias) ? null : 'characters';
}

function slugify(name: string): string {
  return name
    .normalize('NFKD')
    .replace(/[^\p{L}\p{N}]+/gu, '-')
    .replace(/^-+|-+$/g, '')
    .toLowerCase();
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
    reason: text(model.reason)
  }));
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
