import { cardPhase, mlflowPage, parseCard, registrable, shownParams } from '../card';
import { aliasProblem, isPipelineName, nameProblem, pipelineName, suggestName } from '../names';
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
      reason: 'too large',
      size: null
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
      models: [{ name: 'model', class_name: '', kept: true, reason: null, size: null }],
      warnings: [],
      error: null,
      duration: null
    });
  });
});

const full = {
  ...whole,
  baseline: { label: 'champion churn@3', kind: 'champion', run_id: 'r0' },
  deltas: {
    accuracy: { before: 0.8, change: 0.1, better: true },
    odd: { before: 'NaN', change: 1, better: 'yes' },
    wrong: { change: 'much' },
    none: null
  },
  params: { depth: 3 },
  hyperparameters: { model__a: 2, model__b: [1] },
  changed: { depth: '4', model__a: '1' },
  series: {
    accuracy: {
      count: 900,
      points: [[0, 0.1], [9, 0.9], [1, NaN], ['a', 1], [1]]
    },
    broken: { points: 3 }
  },
  inputs: [
    {
      name: 'df',
      kind: 'frame',
      rows: 12,
      columns: 3,
      size: 9,
      digest: 'ab',
      snapshot: 'data/a.csv@3',
      added: 12,
      source: 'a.csv'
    },
    'x'
  ],
  files: [
    { name: 'f.png', kind: 'figure', size: 3, kept: true },
    { kept: 1, reason: 'large' }
  ],
  bytes_kept: 1234,
  environment: { python: '3.11.2', platform: 'Linux', packages: 212 },
  git: { commit: '0123456789', branch: 'main', dirty: true },
  modules: 2,
  seeds: { numpy: 7 },
  resources: { wall_seconds: 1.5, bad: 'x' },
  left_out: { big: 'too large', odd: 3 },
  mlflow: { uri: 'https://mlflow.example/', run: 'abc' },
  cut: { inputs: 3 }
};

describe('what a card says beyond its values', () => {
  const read = parseCard(full)!;

  it('is read', () => {
    expect(read).toMatchObject({
      live: false,
      baseline: { label: 'champion churn@3', run_id: 'r0' },
      deltas: {
        accuracy: { before: 0.8, change: 0.1, better: true },
        odd: { before: 'NaN', change: 1, better: null }
      },
      bytes_kept: 1234,
      environment: { python: '3.11.2', platform: 'Linux', packages: 212 },
      git: { commit: '0123456789', branch: 'main', dirty: true },
      modules: 2,
      seeds: { numpy: 7 },
      mlflow: { uri: 'https://mlflow.example/', command: null, run: 'abc' },
      cut: { inputs: 3 }
    });
    expect(Object.keys(read.deltas)).toEqual(['accuracy', 'odd']);
    expect(read.series).toEqual({
      accuracy: {
        count: 900,
        points: [
          [0, 0.1],
          [9, 0.9]
        ]
      }
    });
    expect(read.inputs).toEqual([
      {
        name: 'df',
        kind: 'frame',
        rows: 12,
        columns: 3,
        size: 9,
        digest: 'ab',
        snapshot: 'data/a.csv@3',
        added: 12,
        source: 'a.csv',
        reason: null
      }
    ]);
    expect(read.files.map(({ name, kept }) => [name, kept])).toEqual([
      ['f.png', true],
      ['file', false]
    ]);
    expect(read.resources).toEqual({ wall_seconds: 1.5 });
    expect(read.left_out).toEqual({ big: 'too large' });
  });

  it('may all be missing, as in a card of an earlier version', () => {
    expect(card).toMatchObject({
      live: false,
      baseline: null,
      deltas: {},
      series: {},
      inputs: [],
      files: [],
      bytes_kept: null,
      environment: null,
      git: null,
      mlflow: null,
      cut: {}
    });
  });

  it('always shows the hyperparameters that are others than before', () => {
    expect(shownParams(read)).toEqual({ depth: 3, model__a: 2 });
  });

  it.each([
    ['https://h/x', 'https://h/x'],
    ['HTTP://h', 'HTTP://h'],
    ['javascript:alert(1)', null],
    ['data:text/html,x', null],
    ['https://h/ onclick', null],
    [3, null]
  ])('links to %p as %p', (uri, address) => {
    expect(parseCard({ ...full, mlflow: { uri } })!.mlflow!.uri).toBe(address);
  });

  it('finds a run in MLflow’s pages', () => {
    expect(mlflowPage('https://h/x/', 'a/b')).toBe('https://h/x/#/runs/a%2Fb');
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
