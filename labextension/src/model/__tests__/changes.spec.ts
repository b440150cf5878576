import type { ITimers } from '../changes';
import { CHANGE_SCHEMA, ChangeGatherer, parseChange, partsOf } from '../changes';
import type { IChange } from '../types';

const change = (kind: IChange['kind'], id = 'x'): IChange => ({
  kind,
  action: 'updated',
  id,
  project: 'p'
});

describe('parseChange', () => {
  it('takes our event only', () => {
    const event = {
      schema_id: CHANGE_SCHEMA,
      kind: 'run',
      action: 'created',
      id: '1',
      project: 'p'
    };
    expect(parseChange(event)).toEqual({ kind: 'run', action: 'created', id: '1', project: 'p' });
    expect(parseChange({ ...event, schema_id: 'https://example.org/other/v1' })).toBeNull();
    expect(parseChange({ ...event, kind: 'galaxy' })).toBeNull();
    expect(parseChange({ schema_id: CHANGE_SCHEMA })).toBeNull();
  });
});

describe('partsOf', () => {
  it.each([
    ['run', ['runs', 'status']],
    ['model', ['models', 'runs', 'status']],
    ['schedule', ['schedules']],
    ['pipeline', ['pipelines', 'schedules']],
    ['snapshot', ['snapshots']],
    ['deployment', ['deployments']],
    ['sync', ['status', 'models', 'runs']],
    ['job', []]
  ] as const)('%s', (kind, parts) => {
    expect(partsOf(change(kind))).toEqual(parts);
  });
});

/** Timers that a test moves by hand. */
class Clock implements ITimers {
  time = 0;
  private _waiting: { at: number; callback: () => void }[] = [];

  set(callback: () => void, ms: number): unknown {
    const timer = { at: this.time + ms, callback };
    this._waiting.push(timer);
    return timer;
  }

  clear(handle: unknown): void {
    this._waiting = this._waiting.filter(timer => timer !== handle);
  }

  now(): number {
    return this.time;
  }

  advance(ms: number): void {
    const end = this.time + ms;
    for (;;) {
      const next = this._waiting.filter(t => t.at <= end).sort((a, b) => a.at - b.at)[0];
      if (next === undefined) {
        break;
      }
      this.time = next.at;
      this.clear(next);
      next.callback();
    }
    this.time = end;
  }
}

describe('ChangeGatherer', () => {
  it('hands a burst over once it is quiet', () => {
    const clock = new Clock();
    const deliver = jest.fn();
    const gatherer = new ChangeGatherer(deliver, 100, 1000, clock);
    gatherer.add(change('run', '1'));
    clock.advance(50);
    gatherer.add(change('model', '2'));
    clock.advance(99);
    expect(deliver).not.toHaveBeenCalled();
    clock.advance(1);
    expect(deliver.mock.calls).toEqual([[[change('run', '1'), change('model', '2')]]]);
  });

  it('does not let a stream of changes put off the refresh for ever', () => {
    const clock = new Clock();
    const deliver = jest.fn();
    const gatherer = new ChangeGatherer(deliver, 100, 300, clock);
    for (let i = 0; i < 10; i++) {
      gatherer.add(change('run', String(i)));
      clock.advance(50);
    }
    expect(deliver).toHaveBeenCalledTimes(1);
    expect(deliver.mock.calls[0][0].length).toBeGreaterThan(1);
    clock.advance(100);
    expect(deliver.mock.calls.flatMap(([changes]) => changes)).toHaveLength(10);
  });

  it('hands over nothing after its end', () => {
    const clock = new Clock();
    const deliver = jest.fn();
    const gatherer = new ChangeGatherer(deliver, 100, 300, clock);
    gatherer.add(change('run'));
    gatherer.dispose();
    clock.advance(1000);
    expect(deliver).not.toHaveBeenCalled();
  });
});
