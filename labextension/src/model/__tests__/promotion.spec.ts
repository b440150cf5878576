import { ApiError } from '../errors';
import { conflictsOf, differencesOf, finishJob, readPromotion, summarize } from '../promotion';
import type { IJob } from '../types';

const job = (change: Partial<IJob>): IJob => ({
  id: 'j',
  kind: 'promotion',
  state: 'running',
  message: '',
  result: null,
  error: null,
  ...change
});

describe('finishJob', () => {
  it('follows a job to its end and tells each message once', async () => {
    const looks = [
      job({ message: 'replaying' }),
      job({ message: 'replaying' }),
      job({ message: 'comparing' }),
      job({ state: 'done', result: { name: 'churn' } })
    ];
    const api = { job: jest.fn(async () => looks.shift()!) };
    const told: string[] = [];
    const wait = jest.fn(async () => undefined);
    const done = await finishJob(api, job({ message: 'waiting' }), wait, m => told.push(m));
    expect(done.result).toEqual({ name: 'churn' });
    expect(told).toEqual(['waiting', 'replaying', 'comparing']);
    expect(wait).toHaveBeenCalledTimes(4);
  });

  it('rejects with the job’s own error', async () => {
    const error = {
      message: 'the replay differs',
      reason: 'replay_differs',
      hint: 'Set a seed.',
      fields: { differences: [] }
    };
    const api = { job: async () => job({ state: 'failed', error }) };
    await expect(finishJob(api, job({}), async () => undefined)).rejects.toMatchObject({
      ...error,
      name: 'ApiError'
    });
  });
});

describe('readPromotion', () => {
  it('reads the result, and does not invent a proof', () => {
    const done = (result: Record<string, unknown> | null) =>
      readPromotion(job({ state: 'done', result }), 'asked');
    expect(
      done({
        name: 'churn',
        verdict: 'unproven',
        kept: 5,
        dropped: 9,
        undo: 'rm -r pipelines/churn',
        proof: { reason: 'nothing to compare' },
        warnings: ['no model'],
        changes: [{ file: 'main.ipynb', status: 'new', diff: '+x' }, 3]
      })
    ).toEqual({
      name: 'churn',
      verdict: 'unproven',
      kept: 5,
      dropped: 9,
      undo: 'rm -r pipelines/churn',
      reason: 'nothing to compare',
      warnings: ['no model'],
      changes: [{ file: 'main.ipynb', status: 'new', diff: '+x' }]
    });
    expect(done(null)).toMatchObject({ name: 'asked', verdict: 'unproven', undo: null });
    expect(done({ verdict: 3 })).toMatchObject({ verdict: 'unproven' });
  });
});

describe('differencesOf', () => {
  const error = (differences: unknown) =>
    new ApiError({ message: 'differs', reason: 'replay_differs', fields: { differences } });

  it('reads every metric, in full', () => {
    const rows = differencesOf(
      error([
        { metric: 'accuracy', tracked: 0.9100000000000001, replayed: 0.91 },
        { metric: 'f1', tracked: 0.5, replayed: null },
        'nonsense'
      ])
    );
    expect(rows).toEqual([
      { metric: 'accuracy', tracked: '0.9100000000000001', replayed: '0.91' },
      { metric: 'f1', tracked: '0.5', replayed: '' }
    ]);
    expect(summarize(rows)).toBe('accuracy 0.9100000000000001 → 0.91, f1 0.5 → –');
  });

  it('is empty without any', () => {
    expect(differencesOf(error(undefined))).toEqual([]);
  });
});

it('reads the places that both sides changed', () => {
  const error = new ApiError({
    message: 'edited',
    reason: 'conflict',
    fields: { conflicts: [{ where: 'main.ipynb: cell c1', base: 'a', theirs: 'b', ours: null }] }
  });
  expect(conflictsOf(error)).toEqual([{ where: 'main.ipynb: cell c1', theirs: 'b', ours: null }]);
  expect(conflictsOf(new ApiError({ message: 'exists', reason: 'conflict' }))).toEqual([]);
});
