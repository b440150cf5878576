import { ApiError } from '../errors';
import { Resource } from '../resource';
import { settle } from './samples';

function deferred<T>() {
  let resolve!: (value: T) => void;
  let reject!: (cause: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

describe('Resource', () => {
  it('loads, then says nothing while answers stay equal', async () => {
    const resource = new Resource(async () => ({ list: [{ id: 1 }] }));
    const changed = jest.fn();
    resource.subscribe(changed);
    expect(resource.get()).toEqual({ data: null, error: null, loading: true });
    await resource.refresh();
    const state = resource.get();
    expect(state).toEqual({ data: { list: [{ id: 1 }] }, error: null, loading: false });
    await resource.refresh();
    await resource.refresh();
    expect(resource.get()).toBe(state);
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it('keeps data when a refresh fails, and drops the error when one succeeds', async () => {
    let fail = false;
    const resource = new Resource(async () => {
      if (fail) {
        throw new ApiError({ message: 'gone', reason: 'unreachable' });
      }
      return [1];
    });
    await resource.refresh();
    fail = true;
    await resource.refresh();
    expect(resource.get()).toMatchObject({ data: [1], error: { reason: 'unreachable' } });
    fail = false;
    await resource.refresh();
    expect(resource.get()).toEqual({ data: [1], error: null, loading: false });
  });

  it('does not redraw when it fails in the same way again', async () => {
    const resource = new Resource<number>(async () => {
      throw new ApiError({ message: 'gone', reason: 'unreachable' });
    });
    const changed = jest.fn();
    resource.subscribe(changed);
    await resource.refresh();
    await resource.refresh();
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it('merges refreshes asked for during a fetch into one more', async () => {
    const answers = [deferred<number>(), deferred<number>(), deferred<number>()];
    let turn = 0;
    const fetch = jest.fn(() => answers[turn++].promise);
    const resource = new Resource(fetch);
    const first = resource.refresh();
    void resource.refresh();
    void resource.refresh();
    answers[0].resolve(1);
    await settle();
    expect(fetch).toHaveBeenCalledTimes(2);
    answers[1].resolve(2);
    await first;
    expect(resource.get().data).toBe(2);
    expect(fetch).toHaveBeenCalledTimes(2);
  });

  it('shows that it is trying again only where there is nothing to show', async () => {
    let answer: Promise<number> = Promise.reject(new ApiError({ message: 'no', reason: 'x' }));
    const resource = new Resource(() => answer);
    await resource.refresh();
    const later = deferred<number>();
    answer = later.promise;
    const retried = resource.retry();
    expect(resource.get()).toEqual({ data: null, error: null, loading: true });
    later.resolve(5);
    await retried;
    void resource.retry();
    expect(resource.get().data).toBe(5);
  });

  it('stops calling a listener that has ended', async () => {
    const resource = new Resource(async () => 1);
    const changed = jest.fn();
    const end = resource.subscribe(changed);
    expect(resource.observed).toBe(true);
    end();
    expect(resource.observed).toBe(false);
    await resource.refresh();
    expect(changed).not.toHaveBeenCalled();
  });
});
