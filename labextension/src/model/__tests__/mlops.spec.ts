import { ApiError } from '../errors';
import { MLops } from '../mlops';
import type { IChange } from '../types';
import { RecordingApi, model, run, settle, status, version } from './samples';

const KEY = 'k'.repeat(16);
const change = (kind: IChange['kind'], id = '', project = KEY): IChange => ({
  kind,
  action: 'updated',
  id,
  project
});
const project = (name: string) => ({ ...status().project!, name, path: name, key: name });

/** A run id made just now, so that the server may not know it yet. */
function freshId(): string {
  const digits = '0123456789ABCDEFGHJKMNPQRSTVWXYZ';
  let time = Date.now();
  let text = '';
  for (let i = 0; i < 10; i++) {
    text = digits[time % 32] + text;
    time = Math.floor(time / 32);
  }
  return text + '0'.repeat(16);
}

beforeEach(() => {
  jest.useFakeTimers();
});

afterEach(() => {
  jest.useRealTimers();
});

async function shown(api: RecordingApi, folder = 'churn') {
  const mlops = new MLops(api);
  mlops.follow(folder);
  mlops.setVisible(true);
  await settle();
  return mlops;
}

describe('MLops', () => {
  it('asks nothing until the panel is seen', async () => {
    const api = new RecordingApi();
    const mlops = new MLops(api);
    mlops.follow('churn');
    mlops.onChange(change('model'));
    jest.advanceTimersByTime(5000);
    await settle();
    expect(api.asked).toEqual([]);
    expect(mlops.watched).toBe(false);
  });

  it('shows the project of the folder in front', async () => {
    const api = new RecordingApi();
    api.answers.models = async () => [model('a', [version('a', 1)])];
    const mlops = await shown(api);
    expect(mlops.get()).toMatchObject({ view: 'ready', error: null, path: 'churn' });
    expect(mlops.get().project?.models.get().data).toHaveLength(1);
    expect(api.count('status')).toBe(1);
  });

  it('asks nothing again for another notebook of the same folder', async () => {
    const api = new RecordingApi();
    const mlops = await shown(api);
    const asked = api.asked.length;
    mlops.follow('churn');
    await settle();
    expect(api.asked).toHaveLength(asked);
  });

  it('keeps the old project until the new one is known, and each one’s data', async () => {
    const api = new RecordingApi();
    api.answers.status = async path => status({ project: project(path) });
    const mlops = await shown(api, 'one');
    const first = mlops.get().project;
    mlops.follow('two');
    expect(mlops.get().project).toBe(first);
    await settle();
    expect(mlops.get().project?.key).toBe('two');
    mlops.follow('one');
    await settle();
    expect(mlops.get().project).toBe(first);
    expect(mlops.get().view).toBe('ready');
  });

  it('does not let a slow answer for an old folder win', async () => {
    const api = new RecordingApi();
    let slow!: () => void;
    api.answers.status = async path => {
      if (path === 'slow') {
        await new Promise<void>(resolve => (slow = resolve));
      }
      return status({ project: project(path) });
    };
    const mlops = await shown(api, 'slow');
    mlops.follow('fast');
    await settle();
    slow();
    await settle();
    expect(mlops.get().project?.key).toBe('fast');
  });

  it('stays with a pinned project', async () => {
    const api = new RecordingApi();
    api.answers.status = async path => status({ project: project(path) });
    const mlops = await shown(api, 'one');
    mlops.pin({ name: 'two', path: 'two', key: 'two' });
    await settle();
    mlops.follow('three');
    await settle();
    expect(mlops.get().project?.key).toBe('two');
    mlops.pin(null);
    await settle();
    expect(mlops.get().project?.key).toBe('three');
  });

  it.each([
    ['server_missing', 'server_missing'],
    ['unreachable', 'error'],
    ['project', 'no_project']
  ])('a failure with reason %s shows %s', async (reason, view) => {
    const api = new RecordingApi();
    api.answers.status = async () => {
      throw new ApiError({ message: 'cause', reason });
    };
    const mlops = await shown(api);
    expect(mlops.get()).toMatchObject({ view, error: { message: 'cause' } });
    delete api.answers.status;
    await mlops.retry();
    expect(mlops.get()).toMatchObject({ view: 'ready', error: null });
  });

  it('tells a folder without state from one that cannot have any', async () => {
    const api = new RecordingApi();
    const unborn = { ...project('new'), exists: false };
    api.answers.status = async () => status({ project: unborn });
    const mlops = await shown(api);
    expect(mlops.get()).toMatchObject({ view: 'no_project', unborn, error: null });
    api.answers.status = async () =>
      status({ project: null, problem: { message: 'the home folder', hint: null } });
    await mlops.refresh();
    expect(mlops.get()).toMatchObject({
      view: 'no_project',
      unborn: null,
      error: { message: 'the home folder' }
    });
  });

  it('shows a project that the first tracked run makes', async () => {
    const api = new RecordingApi();
    api.answers.status = async () => status({ project: { ...project(KEY), exists: false } });
    const mlops = await shown(api);
    delete api.answers.status;
    mlops.onChange(change('run', freshId()));
    jest.advanceTimersByTime(200);
    await settle();
    expect(mlops.get().view).toBe('ready');
  });

  it('keeps cached data when the server is gone for a while', async () => {
    const api = new RecordingApi();
    api.answers.models = async () => [model('a', [version('a', 1)])];
    const mlops = await shown(api);
    const gone = async () => {
      throw new ApiError({ message: 'gone', reason: 'unreachable' });
    };
    Object.assign(api.answers, { status: gone, models: gone });
    await mlops.refresh().catch(() => undefined);
    expect(mlops.get().view).toBe('ready');
    expect(mlops.get().project?.models.get()).toMatchObject({
      data: [{ name: 'a' }],
      error: { reason: 'unreachable' }
    });
  });
});

describe('events', () => {
  it('fetch what they name, once for a burst', async () => {
    const api = new RecordingApi();
    const mlops = await shown(api);
    const before = { ...counts(api) };
    for (let i = 0; i < 20; i++) {
      mlops.onChange(change('model', 'a'));
    }
    jest.advanceTimersByTime(200);
    await settle();
    expect(api.count('models') - before.models).toBe(1);
    expect(api.count('schedules') - before.schedules).toBe(0);
    expect(api.count('deployments') - before.deployments).toBe(0);
    mlops.onChange(change('deployment', 'd'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(api.count('deployments') - before.deployments).toBe(1);
  });

  it('of another project fetch nothing now, and that project when it comes to the front', async () => {
    const api = new RecordingApi();
    api.answers.status = async path => status({ project: project(path) });
    const mlops = await shown(api, 'one');
    mlops.follow('two');
    await settle();
    const before = api.count('models');
    mlops.onChange(change('model', 'a', 'one'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(api.count('models')).toBe(before);
    mlops.follow('one');
    await settle();
    expect(api.count('models')).toBe(before + 1);
    expect(api.asked.filter(item => item === 'models(one)')).toHaveLength(2);
  });

  it('while the panel is hidden are caught up with when it is shown', async () => {
    const api = new RecordingApi();
    const mlops = await shown(api);
    mlops.setVisible(false);
    const before = api.count('models');
    mlops.onChange(change('model', 'a'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(api.count('models')).toBe(before);
    mlops.setVisible(true);
    await settle();
    expect(api.count('models')).toBe(before + 1);
  });

  it('change nothing that views hold when the answers are equal', async () => {
    const api = new RecordingApi();
    api.answers.models = async () => [model('a', [version('a', 1)])];
    const mlops = await shown(api);
    const state = mlops.get();
    const models = state.project!.models.get();
    mlops.onChange(change('sync'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(mlops.get()).toBe(state);
    expect(mlops.get().project!.models.get()).toBe(models);
  });

  it('of jobs wake who waits for one, as time does', async () => {
    const mlops = new MLops(new RecordingApi());
    const woken = jest.fn();
    void mlops.jobChanged(2000).then(woken);
    mlops.onChange(change('job', 'j'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(woken).toHaveBeenCalledTimes(1);
    void mlops.jobChanged(2000).then(woken);
    jest.advanceTimersByTime(2000);
    await settle();
    expect(woken).toHaveBeenCalledTimes(2);
  });
});

describe('run', () => {
  const notFound = async () => {
    throw new ApiError({ message: 'no such run', reason: 'not_found', status: 404 });
  };

  it('is waited for while it is young, and then followed by events', async () => {
    const api = new RecordingApi();
    const id = freshId();
    api.answers.run = notFound;
    const mlops = new MLops(api);
    const live = mlops.run(id, 'churn/a.ipynb');
    live.subscribe(() => undefined);
    await live.refresh();
    expect(live.get().data).toEqual({ run: null, expected: true });
    expect(mlops.watched).toBe(true);
    api.answers.run = async () => run(id, { delivered: true, models: [{ name: 'm' }] });
    mlops.onChange(change('run', id));
    jest.advanceTimersByTime(200);
    await settle();
    expect(live.get().data?.run?.delivered).toBe(true);
    expect(mlops.watched).toBe(false);
    api.answers.run = async () =>
      run(id, { delivered: true, registered: [{ name: 'a', version: 3 }] });
    mlops.onChange(change('model', 'a'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(live.get().data?.run?.registered).toEqual([{ name: 'a', version: 3 }]);
  });

  it('is not waited for when it is old: it was made elsewhere', async () => {
    const api = new RecordingApi();
    api.answers.run = notFound;
    const mlops = new MLops(api);
    const live = mlops.run('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'a.ipynb');
    live.subscribe(() => undefined);
    await live.refresh();
    expect(live.get().data).toEqual({ run: null, expected: false });
    expect(mlops.watched).toBe(false);
  });

  it('is not asked for by events once its card is gone', async () => {
    const api = new RecordingApi();
    const mlops = new MLops(api);
    const live = mlops.run(freshId(), 'a.ipynb');
    const end = live.subscribe(() => undefined);
    await live.refresh();
    end();
    mlops.onChange(change('run', 'other'));
    jest.advanceTimersByTime(200);
    await settle();
    expect(api.count('run')).toBe(1);
  });

  it('of many cards goes out two at a time', async () => {
    const api = new RecordingApi();
    const waiting: (() => void)[] = [];
    api.answers.run = async (_, id) => {
      await new Promise<void>(resolve => waiting.push(resolve));
      return run(id);
    };
    const mlops = new MLops(api);
    const all = Array.from({ length: 10 }, (_, i) => mlops.run(`r${i}`, 'a.ipynb').refresh());
    await settle();
    expect(api.count('run')).toBe(2);
    while (waiting.length > 0) {
      waiting.shift()!();
      await settle();
    }
    await Promise.all(all);
    expect(api.count('run')).toBe(10);
  });
});

describe('code', () => {
  it('is fetched once, and again after a failure', async () => {
    const api = new RecordingApi();
    const mlops = await shown(api);
    api.answers.code = async () => {
      throw new ApiError({ message: 'no', reason: 'not_found' });
    };
    await expect(mlops.code('a', 1)).rejects.toThrow('no');
    delete api.answers.code;
    expect(await mlops.code('a', 1)).toBe('load("a@1")');
    expect(await mlops.code('a', 1)).toBe('load("a@1")');
    expect(api.count('code')).toBe(2);
  });
});

function counts(api: RecordingApi) {
  return {
    models: api.count('models'),
    schedules: api.count('schedules'),
    deployments: api.count('deployments')
  };
}
