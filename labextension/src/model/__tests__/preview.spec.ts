import { ApiError } from '../errors';
import { PromotionPreview } from '../preview';
import type { INewPlan, IPlan } from '../types';
import { plan } from './plans';
import { RecordingApi, run, settle } from './samples';

const PATH = 'drafts/churn.ipynb';

/** An API whose plans are answered by hand, in any order. */
function opened(exists?: (folder: string) => Promise<boolean>) {
  const api = new RecordingApi();
  const asked: { body: INewPlan; answer: (found: IPlan | ApiError) => Promise<void> }[] = [];
  api.answers.plan = body =>
    new Promise((resolve, reject) => {
      asked.push({
        body,
        answer: async found => {
          if (found instanceof ApiError) {
            reject(found);
          } else {
            resolve(found);
          }
          await settle();
        }
      });
    });
  const preview = new PromotionPreview(api, PATH, 'churn', async () => undefined, exists);
  return { api, asked, preview, state: () => preview.get() };
}

async function planned(exists?: (folder: string) => Promise<boolean>) {
  const found = opened(exists);
  const done = found.preview.refresh();
  await found.asked[0]!.answer(plan());
  await done;
  return found;
}

const refused = (field: string | null) =>
  new ApiError({ message: 'no', reason: 'usage', fields: field === null ? {} : { field } });

beforeEach(() => jest.useFakeTimers());
afterEach(() => jest.useRealTimers());

describe('PromotionPreview', () => {
  it('is ready once it shows a plan of the draft', async () => {
    const { preview, asked, state } = opened();
    expect(state()).toMatchObject({ plan: null, asking: true, ready: false });
    void preview.refresh();
    expect(asked[0]!.body).toEqual({ path: PATH, name: 'churn', steps: 'auto' });
    await asked[0]!.answer(plan());
    expect(state()).toMatchObject({ asking: false, ready: true, refusal: null });
  });

  it('asks once for changes in quick succession, and drops stale answers', async () => {
    const { preview, asked, state } = await planned();
    preview.edit({ kind: 'cell', seq: 3, kept: true });
    preview.edit({ kind: 'dropDisplays', on: true });
    expect(state()).toMatchObject({ asking: true, ready: false });
    jest.runOnlyPendingTimers();
    expect(asked).toHaveLength(2);
    preview.edit({ kind: 'mode', mode: 'one' });
    await asked[1]!.answer(plan({ name: 'stale' }));
    expect(state()).toMatchObject({ asking: true, plan: { name: 'churn' } });
    jest.runOnlyPendingTimers();
    await asked[2]!.answer(plan({ mode: 'one' }));
    expect(asked[2]!.body).toMatchObject({ steps: 'one', drop_displays: true });
    expect(state()).toMatchObject({ ready: true, plan: { mode: 'one' } });
  });

  it('takes a click back that cannot be, and says why where it was made', async () => {
    const { preview, asked, state } = await planned();
    preview.edit({ kind: 'begin', seq: 5 });
    jest.runOnlyPendingTimers();
    await asked[1]!.answer(refused('edits.steps.5'));
    expect(state().draft.steps).toBeNull();
    expect(state()).toMatchObject({ ready: true, refusal: { place: 'steps.5', held: false } });
    preview.edit({ kind: 'cell', seq: 2, kept: false });
    expect(state().refusal).toBeNull();
  });

  it('keeps what was typed until it is mended or taken back; the good plan stays', async () => {
    const { preview, asked, state } = await planned();
    preview.edit({ kind: 'parameter', original: 'seed', change: { name: 'strength' } });
    jest.runOnlyPendingTimers();
    await asked[1]!.answer(refused(null));
    expect(state()).toMatchObject({
      ready: false,
      plan: { name: 'churn' },
      draft: { parameters: { seed: { name: 'strength' } } },
      refusal: { place: 'parameters.seed', held: true }
    });
    await expect(preview.promote()).resolves.toBeNull();
    preview.takeBack();
    expect(state()).toMatchObject({ ready: true, refusal: null, draft: { parameters: {} } });
  });

  it('does not ask about a name that cannot be', async () => {
    const { preview, asked, state } = await planned();
    preview.edit({ kind: 'name', name: '' });
    jest.runOnlyPendingTimers();
    expect(asked).toHaveLength(1);
    expect(state()).toMatchObject({ ready: false, asking: false, local: { place: 'name' } });
  });

  it('shows why there is no plan, and does not promote what may have changed', async () => {
    const { preview, asked, state } = opened();
    void preview.refresh();
    await asked[0]!.answer(refused(null));
    expect(state()).toMatchObject({ plan: null, ready: false, refusal: { place: null } });
    void preview.refresh();
    await asked[1]!.answer(plan());
    expect(state().ready).toBe(true);
    void preview.refresh();
    await asked[2]!.answer(refused(null));
    expect(state()).toMatchObject({ ready: false, plan: { name: 'churn' } });
  });

  it('promotes what is shown and keeps the outcome', async () => {
    const { api, preview, state } = await planned();
    const job = { id: 'j', kind: 'promotion', message: '', error: null } as const;
    api.answers.promote = async () => ({
      ...job,
      state: 'running',
      message: 'cell 1',
      result: null
    });
    api.answers.job = async () => ({ ...job, state: 'done', result: { verdict: 'equal' } });
    const heard: string[] = [];
    const made = await preview.promote(message => heard.push(message));
    expect(heard).toEqual(['cell 1']);
    expect(made).toMatchObject({ name: 'churn', verdict: 'equal' });
    expect(state()).toMatchObject({ made: { verdict: 'equal' }, promoting: false, ready: true });

    const conflict = new ApiError({ message: 'edited', reason: 'conflict' });
    api.answers.promote = async () => {
      throw conflict;
    };
    await expect(preview.promote()).rejects.toBe(conflict);
    expect(state()).toMatchObject({ made: null, failure: conflict, ready: true });
    preview.dismiss();
    expect(state().failure).toBeNull();
  });

  it('cannot be changed while it promotes', async () => {
    const { api, preview, state } = await planned();
    api.answers.promote = () => new Promise(() => undefined);
    void preview.promote();
    preview.edit({ kind: 'name', name: 'other' });
    expect(state()).toMatchObject({ promoting: true, ready: false, draft: { name: 'churn' } });
  });

  it('offers the finished runs of its notebook', async () => {
    const { api, preview, asked, state } = opened();
    api.answers.runs = async () =>
      [
        run('a', { notebook: PATH }),
        run('b', { notebook: 'other.ipynb' }),
        run('c', { notebook: 'churn.ipynb', status: 'FAILED' })
      ] as never;
    const done = preview.refresh();
    await asked[0]!.answer(plan());
    await done;
    expect(state().runs.map(({ run_id }) => run_id)).toEqual(['a']);
  });

  it('says whether such a pipeline is there', async () => {
    const folders: string[] = [];
    const { preview, asked, state } = await planned(async folder => {
      folders.push(folder);
      return folder.endsWith('/churn');
    });
    await settle();
    expect(state().again).toBe(true);
    preview.edit({ kind: 'name', name: 'other' });
    jest.runOnlyPendingTimers();
    await asked[1]!.answer(plan({ name: 'other' }));
    expect(folders).toEqual(['pipelines/churn', 'pipelines/other']);
    expect(state().again).toBe(false);
  });

  it('hears nothing after its end', async () => {
    const { preview, asked, state } = opened();
    void preview.refresh();
    preview.dispose();
    await asked[0]!.answer(plan());
    expect(state().plan).toBeNull();
  });
});
