import {
  aliasProblem,
  cardPhase,
  isPipelineName,
  nameProblem,
  parseCard,
  pipelineName,
  registrable,
  suggestName
} from '../card';
import { ulidTime } from '../ulid';
import { model, run, version } from './samples';

const whole = {
  version: 1,
  run_id: '01JDABCDEFGHJKMNPQRSTVWXYZ',
  name: 'fit',
  status: 'FINISHED',
  experiment: 'churn',
  project: '~/churn',
  duration: 1.5,
  params: { depth: 3 },
  metrics: { accuracy: 0.9, diverged: 'NaN', odd: [] },
  models: [
    { name: 'scaler', class_name: 'StandardScaler', kept: true, reason: null },
    { name: 'model', class_name: 'Forest', kept: true, reason: null },
    { name: 'big', class_name: 'Huge', kept: false, reason: 'too large' }
  ],
  register: null,
  registered_model: 'model',
  notebook: 'notebooks/Churn Study.ipynb',
  error: { ename: 'ValueError', evalue: 'bad' },
  warnings: ['slow'],
  first: true,
  dry_run: false
};
const card = parseCard(whole)!;

describe('parseCard', () => {
  it('reads a card', () => {
    expect(card).toMatchObject({
      run_id: whole.run_id,
      metrics: { accuracy: 0.9, diverged: 'NaN', odd: null },
      error: { name: 'ValueError', message: 'bad' },
      first: true
    });
    expect(card.models[2]).toEqual({
      name: 'big',
      class_name: 'Huge',
      kept: false,
      reason: 'too large'
    });
  });

  it.each([[null], ['text'], [[]], [{}], [{ run_id: '' }], [{ run_id: 3 }]])('refuses %p', data => {
    expect(parseCard(data)).toBeNull();
  });

  it('leaves out what does not fit, from a notebook of any origin', () => {
    const odd = parseCard({
      run_id: 'r',
      params: 'x',
      metrics: [1],
      models: [null, { name: 3 }],
      warnings: 'w',
      error: 'e',
      duration: 'long'
    });
    expect(odd).toMatchObject({
      name: 'r',
      params: {},
      metrics: {},
      models: [{ name: 'model', class_name: '', kept: true, reason: null }],
      warnings: [],
      error: null,
      duration: null
    });
  });
});

describe('cardPhase', () => {
  const id = whole.run_id;
  it.each([
    ['asking', null],
    ['waiting', { run: null, expected: true }],
    ['unknown', { run: null, expected: false }],
    ['waiting', { run: run(id), expected: true }],
    ['delivered', { run: run(id, { delivered: true }), expected: true }],
    ['registered', { run: run(id, { registered: [{ name: 'm', version: 3 }] }), expected: true }]
  ])('%s', (kind, live) => {
    expect(cardPhase(live).kind).toBe(kind);
  });
});

describe('registrable', () => {
  it('offers kept models, the chosen one first', () => {
    expect(registrable(card).map(model => model.name)).toEqual(['model', 'scaler']);
  });
});

describe('names', () => {
  it('suggests what the cell said, else the notebook, else the variable', () => {
    expect(suggestName({ ...card, register: 'x' }, 'n.ipynb', [])).toBe('x');
    expect(suggestName(card, 'n.ipynb', [])).toBe('churn-study');
    expect(suggestName({ ...card, notebook: null }, 'a/Preise für Häuser.ipynb', [])).toBe(
      'preise-fu-r-ha-user'
    );
    expect(suggestName({ ...card, notebook: null }, '', [])).toBe('model');
  });

  it('suggests the model that this notebook made before, if it is of the same class', () => {
    const made = { notebook: card.notebook, class_name: 'Forest' };
    const known = [
      model('older', [version('older', 9, { ...made, created: 1 })]),
      model('newer', [version('newer', 1, { ...made, created: 2 })]),
      model('elsewhere', [version('elsewhere', 1, { ...made, notebook: 'x.ipynb', created: 3 })]),
      model('other', [version('other', 1, { ...made, class_name: 'Ridge', created: 4 })])
    ];
    expect(suggestName(card, 'n.ipynb', known)).toBe('newer');
    expect(suggestName({ ...card, notebook: null }, 'n.ipynb', known)).toBe('n');
  });

  it.each([
    ['notebooks/taxi_tips.ipynb', 'taxi_tips'],
    ['My Study (v2).ipynb', 'My-Study-v2'],
    ['../.hidden.ipynb', 'hidden'],
    ['日本.ipynb', 'pipeline']
  ])('%s makes a pipeline’s name', (notebook, name) => {
    expect(pipelineName(notebook)).toBe(name);
    expect(isPipelineName(name)).toBe(true);
  });

  it.each([
    ['churn-model', null],
    ['日本 model', null],
    ['', 'empty'],
    ['  ', 'empty'],
    ['a/b', 'characters'],
    ['a@b', 'characters'],
    ['a:b', 'characters'],
    ['a\\b', 'characters'],
    ['a\nb', 'characters'],
    [' a', 'characters'],
    ['x'.repeat(201), 'long']
  ])('a model may be called %p: %p', (name, problem) => {
    expect(nameProblem(name)).toBe(problem);
  });

  it.each([
    ['champion', null],
    ['_a.b-c', null],
    ['', 'empty'],
    ['v12', 'reserved'],
    ['LATEST', 'reserved'],
    ['1st', 'characters'],
    ['a b', 'characters']
  ])('an alias may be %p: %p', (alias, problem) => {
    expect(aliasProblem(alias)).toBe(problem);
  });
});

describe('ulidTime', () => {
  it('reads the time, and only of a ULID', () => {
    // The example of the specification.
    expect(ulidTime('01ARZ3NDEKTSV4RRFFQ69G5FAV')).toBe(1469922850259);
    expect(ulidTime('8ZZZZZZZZZZZZZZZZZZZZZZZZZ')).toBeNull();
    expect(ulidTime('not one')).toBeNull();
  });
});
