import { diffLines, readComparison } from '../compare';

const answer = {
  a: { run_id: 'r1', name: 'taxi #1', status: 'FINISHED' },
  b: { run_id: 'r2', name: '' },
  metrics: [
    { name: 'auc', a: 0.8, b: 0.9, delta: 0.1, better: 'b' },
    { name: 'nan', a: 'NaN', b: null, delta: null, better: 'c' }
  ],
  params: [{ name: 'depth', a: 3, b: 4, only: null }],
  hyperparameters: [],
  seeds: [{ name: 'numpy', b: 7, only: 'b' }],
  packages: [{ name: 'numpy', a: '1', b: '2' }],
  code: {
    source: '--- a\n+++ b\n@@ -1 +1 @@\n-x = 1\n+x = 2\n',
    git: [{ name: 'commit', a: 'aa', b: 'bb' }],
    modules: [{ name: 'lib.py', only: 'a', diff: null }]
  },
  inputs: [
    {
      name: 'df',
      status: 'changed',
      rows_a: 10,
      rows_b: 12,
      digest_a: 'x',
      digest_b: 'y',
      added: ['c'],
      removed: [],
      retyped: { d: ['int64', 'float64'] }
    }
  ],
  curves: [
    {
      name: 'loss',
      a: [
        [0, 1],
        [1, 0.5]
      ],
      b: [
        [0, 2],
        [1, null]
      ]
    },
    { name: 'point', a: [[0, 1]], b: [] }
  ],
  unknown: ['no packages'],
  same: false
};

describe('readComparison', () => {
  const read = readComparison(answer);

  it('reads what differs and leaves out tables without rows', () => {
    expect([read.a, read.b]).toEqual([
      { run_id: 'r1', name: 'taxi #1' },
      { run_id: 'r2', name: 'r2' }
    ]);
    expect(read.metrics.map(row => [row.name, row.a, row.better])).toEqual([
      ['auc', 0.8, 'b'],
      ['nan', 'NaN', null]
    ]);
    expect(read.tables.map(table => table.kind)).toEqual(['params', 'git', 'seeds', 'packages']);
    expect(read.tables[2].rows).toEqual([{ name: 'numpy', a: null, b: 7, only: 'b' }]);
    expect(read.code.map(item => [item.name, item.only])).toEqual([
      ['', null],
      ['lib.py', 'a']
    ]);
    expect(read.inputs[0]).toMatchObject({ rows: [10, 12], retyped: ['d: int64 → float64'] });
    expect(read.curves).toEqual([
      {
        name: 'loss',
        a: [
          [0, 1],
          [1, 0.5]
        ],
        b: [[0, 2]]
      }
    ]);
    expect(read.unknown).toEqual(['no packages']);
  });

  it.each([[null], ['x'], [[]], [{ metrics: 3, code: 'x', curves: [null], a: 7 }]])(
    'makes something of %p',
    data => {
      const odd = readComparison(data);
      expect(odd).toMatchObject({ metrics: [], tables: [], curves: [], same: false });
    }
  );
});

describe('diffLines', () => {
  it('tells lines apart and leaves the heads out', () => {
    expect(diffLines(answer.code.source)).toEqual([
      { kind: 'place', text: '@@ -1 +1 @@' },
      { kind: 'remove', text: '-x = 1' },
      { kind: 'add', text: '+x = 2' }
    ]);
    // A removed comment of SQL looks like a head, further down.
    expect(diffLines('@@ @@\n x\n--- note\n').map(line => line.kind)).toEqual([
      'place',
      'same',
      'remove'
    ]);
  });
});
