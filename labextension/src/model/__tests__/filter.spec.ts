import { filterModels } from '../filter';
import { model, version } from './samples';

const models = [
  model('churn-model', [
    version('churn-model', 12, { aliases: ['champion'], run_name: 'woods' }),
    version('churn-model', 2, { notebook: 'old/baseline.ipynb', run_name: null })
  ]),
  model('taxi-tips', [
    version('taxi-tips', 1, { pipeline: 'taxi', metrics: { rmse: 2 }, notebook: 'taxi.ipynb' })
  ])
];

const names = (text: string) =>
  filterModels(models, text).flatMap(m => m.versions.map(v => `${v.name}@${v.version}`));

describe('filterModels', () => {
  it('returns the same list for an empty filter', () => {
    expect(filterModels(models, '  ')).toBe(models);
  });

  it.each([
    ['a model’s name keeps all its versions', 'CHURN', ['churn-model@12', 'churn-model@2']],
    ['an alias', '@champion', ['churn-model@12']],
    ['a version', 'v2', ['churn-model@2']],
    ['a notebook', 'baseline', ['churn-model@2']],
    ['a metric', 'rmse', ['taxi-tips@1']],
    ['a pipeline', 'taxi', ['taxi-tips@1']],
    ['a model and a version', 'churn v12', ['churn-model@12']],
    ['words in any order', 'woods churn', ['churn-model@12']],
    ['nothing', 'nope', []]
  ])('finds %s', (_, text, found) => {
    expect(names(text)).toEqual(found);
  });
});
