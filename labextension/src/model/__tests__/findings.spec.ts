import { FindingsWatch, cellsToSend, describeMark, marksOf, sameMark } from '../findings';
import type { IFinding } from '../types';
import { settle } from './samples';

function finding(change: Partial<IFinding> = {}): IFinding {
  return {
    rule: 'NB001',
    severity: 'error',
    cell: 0,
    cell_id: 'a',
    line: 1,
    column: 1,
    message: 'm',
    reason: 'r.',
    fix: 'f.',
    names: [],
    related: [],
    ...change
  };
}

const stale = finding({ rule: 'NB003' });
const note = finding({ rule: 'NB008', severity: 'note' });
const warning = finding({ rule: 'NB006', severity: 'warning', line: 4 });

describe('marksOf', () => {
  it('gives each cell the worst of its findings', () => {
    const marks = marksOf([note, warning, finding({ cell_id: 'b' }), finding({ cell_id: null })]);
    expect([...marks.keys()]).toEqual(['a', 'b']);
    expect(marks.get('a')?.kind).toBe('warning');
    expect(marks.get('a')?.findings.map(f => f.rule)).toEqual(['NB006', 'NB008']);
    expect(marks.get('b')).toMatchObject({ kind: 'error', stale: false });
  });

  it('shows that a cell is out of date unless worse was found', () => {
    expect(marksOf([stale]).get('a')).toMatchObject({ kind: 'stale', stale: true });
    expect(marksOf([stale, note]).get('a')).toMatchObject({ kind: 'stale', stale: true });
    expect(marksOf([stale, warning]).get('a')).toMatchObject({ kind: 'warning', stale: true });
  });

  it('says all of it in one text', () => {
    const mark = marksOf([warning, stale]).get('a');
    expect(mark && describeMark(mark)).toBe('NB003: m. r. f.\nNB006: m. r. f.');
  });

  it('knows marks that look the same', () => {
    const [one, two] = [marksOf([note]).get('a'), marksOf([{ ...note }]).get('a')];
    expect(sameMark(one, two)).toBe(true);
    expect(sameMark(one, marksOf([stale]).get('a'))).toBe(false);
    expect(sameMark(one, undefined)).toBe(false);
    expect(sameMark(undefined, undefined)).toBe(true);
  });
});

describe('cellsToSend', () => {
  it('leaves to the file what is empty or too large', () => {
    const cell = { position: 0, id: 'a', source: 'x', count: 1 };
    expect(cellsToSend([cell])).toEqual([cell]);
    expect(cellsToSend([])).toBeNull();
    expect(cellsToSend([{ ...cell, source: 'x'.repeat(200_000) }])).toBeNull();
  });
});

describe('FindingsWatch', () => {
  beforeEach(() => jest.useFakeTimers());
  afterEach(() => jest.useRealTimers());

  const elapse = async (ms: number) => {
    jest.advanceTimersByTime(ms);
    await settle();
  };

  it('asks once after a burst, and shows the answer', async () => {
    const ask = jest.fn(async () => [note]);
    const show = jest.fn();
    const watch = new FindingsWatch(ask, show, 100);
    watch.changed();
    await elapse(60);
    watch.changed();
    await elapse(60);
    expect(ask).not.toHaveBeenCalled();
    await elapse(60);
    expect(ask).toHaveBeenCalledTimes(1);
    expect(show.mock.calls[0][0].get('a').kind).toBe('note');
  });

  it('asks again after an answer that changes came in between', async () => {
    let answer: (found: IFinding[]) => void = () => undefined;
    const ask = jest.fn(() => new Promise<IFinding[]>(resolve => (answer = resolve)));
    const watch = new FindingsWatch(ask, () => undefined, 100);
    watch.changed();
    await elapse(100);
    watch.changed();
    await elapse(100);
    expect(ask).toHaveBeenCalledTimes(1);
    answer([]);
    await settle();
    await elapse(100);
    expect(ask).toHaveBeenCalledTimes(2);
  });

  it('keeps what is shown after a failure, and is quiet where our server part is missing', async () => {
    const errors = [{ reason: 'internal' }, { reason: 'server_missing' }];
    const ask = jest.fn(async () => {
      throw errors.shift();
    });
    const show = jest.fn();
    const watch = new FindingsWatch(ask, show, 100);
    for (let turn = 0; turn < 3; turn++) {
      watch.changed();
      await elapse(100);
    }
    expect(ask).toHaveBeenCalledTimes(2);
    expect(show).not.toHaveBeenCalled();
  });

  it('does nothing after it was disposed of', async () => {
    const ask = jest.fn(async () => []);
    const watch = new FindingsWatch(ask, () => undefined, 100);
    watch.changed();
    watch.dispose();
    watch.changed();
    await elapse(200);
    expect(ask).not.toHaveBeenCalled();
  });
});
