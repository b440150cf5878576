import type { IModelVersion, IRegisteredModel } from './types';

/**
 * Return the models and versions that hold every word of `text`.
 *
 * A model whose name (or description) holds all words keeps all its versions, else those versions
 * stay that hold them together with the model's name. An empty filter returns `models` itself.
 */
export function filterModels(models: IRegisteredModel[], text: string): IRegisteredModel[] {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (words.length === 0) {
    return models;
  }
  const found: IRegisteredModel[] = [];
  for (const model of models) {
    const head = `${model.name} ${model.description ?? ''}`.toLowerCase();
    const left = words.filter(word => !head.includes(word));
    if (left.length === 0) {
      found.push(model);
      continue;
    }
    const versions = model.versions.filter(version => {
      const haystack = searchable(version);
      return left.every(word => haystack.includes(word));
    });
    if (versions.length > 0) {
      found.push({ ...model, versions });
    }
  }
  return found;
}

function searchable(version: IModelVersion): string {
  return [
    `v${version.version}`,
    ...version.aliases.map(alias => `@${alias}`),
    version.run_name,
    version.run_id,
    version.notebook,
    version.pipeline,
    version.class_name,
    ...Object.keys(version.metrics)
  ]
    .filter(Boolean)
    .join(' ')
    .toLowerCase();
}
