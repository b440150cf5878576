import { ApiError } from '../errors';
import { differencesOf, finishJob, readPromotion, summarize } from '../promotion';
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
  it('reads the verdict in either form, and does not invent one', () => {
    const done = (result: Record<string, unknown> | null) =>
      readPromotion(job({ state: 'done', result }), 'asked');
    expect(done({ name: 'churn', folder: 'pipelines/churn', proof: 'equal' })).toMatchObject({
      name: 'churn',
      folder: 'pipelines/churn',
      verdict: 'equal'
    });
    expect(
      done({ proof: { verdict: 'within_tolerance' }, kept: [1, 2], dropped: 3 })
    ).toMatchObject({ name: 'asked', verdict: 'within_tolerance', kept: 2, dropped: 3 });
    expect(done(null)).toMatchObject({ name: 'asked', verdict: 'unproven', undo: null });
  });
});

describe('differencesOf', () => {
  const error = (differences: unknown) =>
    new ApiError({ message: 'differs', reason: 'replay_differs', fields: { differences } });

  it('reads a list of values', () => {
    const rows = differencesOf(
      error([
        { name: 'accuracy', expected: 0.91, actual: 0.89 },
        { name: 'rows', expected: 10, actual: null },
        'the metric f1 is missing'
      ])
    );
    expect(rows).toEqual([
      { name: 'accuracy', expected: '0.91', actual: '0.89' },
      { name: 'rows', expected: '10', actual: 'none' },
      { name: 'the metric f1 is missing', expected: '', actual: '' }
    ]);
    expect(summarize(rows.slice(0, 1))).toBe('accuracy 0.91 → 0.89');
  });

  it('reads pairs by name', () => {
    expect(differencesOf(error({ accuracy: [0.91, 0.89] }))).toEqual([
      { name: 'accuracy', expected: '0.91', actual: '0.89' }
    ]);
  });

  it('is empty without any', () => {
    expect(differencesOf(error(undefined))).toEqual([]);
  });
});
