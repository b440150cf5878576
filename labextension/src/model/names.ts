import type { ICard } from './card';
import { registrable } from './card';
import type { IRegisteredModel } from './types';

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
