import type { Edit, IDraft } from '../plan';
import {
  applyEdit,
  firstOf,
  groupCells,
  hasPlace,
  localProblem,
  newDraft,
  pipelineFolder,
  placeOf,
  planRequest,
  promotionRequest,
  repetition
} from '../plan';
import { plan, planCell, planStep } from './plans';

const shown = plan();

function after(edits: Edit[], from: IDraft = newDraft('churn')): IDraft {
  return edits.reduce((draft, edit) => applyEdit(draft, edit, shown), from);
}

describe('planRequest', () => {
  it('says nothing that the person did not say', () => {
    expect(planRequest('drafts/churn.ipynb', newDraft(' churn '))).toEqual({
      path: 'drafts/churn.ipynb',
      name: 'churn',
      steps: 'auto'
    });
  });

  it('says all of what the person changed, and promotes the run that was shown', () => {
    const draft = after([
      { kind: 'parameter', original: 'strength', change: { name: 'C' } },
      { kind: 'parameter', original: 'strength', change: { type: 'integer' } },
      { kind: 'parameter', original: 'seed', change: { included: false } },
      { kind: 'cell', seq: 3, kept: true },
      { kind: 'begin', seq: 5 },
      { kind: 'dropDisplays', on: true },
      { kind: 'data', data: 'pinned' },
      { kind: 'allowPickle', on: true }
    ]);
    const edits = {
      parameters: { strength: { name: 'C', type: 'integer' }, seed: { included: false } },
      cells: { 3: true },
      steps: [
        { name: 'load', first: 1 },
        { name: 'train', first: 4 },
        { name: 'train-2', first: 5 }
      ]
    };
    const asked = { path: 'p.ipynb', name: 'churn', steps: 'auto', drop_displays: true, edits };
    expect(planRequest('p.ipynb', draft)).toEqual(asked);
    expect(promotionRequest('p.ipynb', draft, shown)).toEqual({
      ...asked,
      run: '01JRUN',
      data: 'pinned',
      allow_pickle: true
    });
    expect(promotionRequest('p.ipynb', draft, shown, true)).toMatchObject({ force: true });
  });
});

describe('applyEdit', () => {
  it('forgets a change that is taken back by hand', () => {
    const there: Edit[] = [
      { kind: 'parameter', original: 'strength', change: { name: 'C', included: false } },
      { kind: 'cell', seq: 2, kept: false }
    ];
    const back: Edit[] = [
      { kind: 'parameter', original: 'strength', change: { name: 'strength', included: true } },
      { kind: 'cell', seq: 2, kept: true }
    ];
    expect(after([...there, ...back])).toEqual(newDraft('churn'));
    expect(
      after([{ kind: 'parameter', original: 'strength', change: { type: 'number' } }])
    ).toEqual(newDraft('churn'));
  });

  it('takes a cell that the person dropped as proposed to be kept', () => {
    const dropped = plan({
      cells: shown.cells.map(cell =>
        cell.seq === 2 ? { ...cell, kept: false, changed_by_person: true } : cell
      )
    });
    const draft = { ...newDraft('churn'), cells: { 2: false } };
    expect(applyEdit(draft, { kind: 'cell', seq: 2, kept: true }, dropped).cells).toEqual({});
  });

  it('draws, names and joins steps', () => {
    const split = after([{ kind: 'begin', seq: 5 }]);
    expect(after([{ kind: 'begin', seq: 4 }])).toEqual(newDraft('churn'));
    const named = after([{ kind: 'rename', first: 5, name: 'score' }], split);
    expect(named.steps?.map(step => step.name)).toEqual(['load', 'train', 'score']);
    const joined = after([{ kind: 'join', first: 4 }], named);
    expect(joined.steps).toEqual([
      { name: 'load', first: 1 },
      { name: 'score', first: 5 }
    ]);
    expect(after([{ kind: 'join', first: 1 }], joined)).toBe(joined);
    // Asking for one step forgets what was drawn; drawing after that is heard.
    const one = after([{ kind: 'mode', mode: 'one' }], joined);
    expect(one).toMatchObject({ mode: 'one', steps: null });
    expect(after([{ kind: 'begin', seq: 5 }], one)).toMatchObject({ mode: 'auto' });
  });

  it('moves a drawn step whose first cell is dropped, and removes one without cells', () => {
    const drawn = after([{ kind: 'rename', first: 4, name: 'fit' }]);
    expect(after([{ kind: 'cell', seq: 4, kept: false }], drawn).steps).toEqual([
      { name: 'load', first: 1 },
      { name: 'fit', first: 5 }
    ]);
    const gone = after(
      [
        { kind: 'begin', seq: 5 },
        { kind: 'cell', seq: 5, kept: false }
      ],
      drawn
    );
    expect(gone.steps).toEqual([
      { name: 'load', first: 1 },
      { name: 'fit', first: 4 }
    ]);
  });

  it('forgets what names cells of another session', () => {
    const draft = after([
      { kind: 'cell', seq: 3, kept: true },
      { kind: 'begin', seq: 5 },
      { kind: 'dropDisplays', on: true },
      { kind: 'run', run: '01JOTHER' }
    ]);
    expect(draft).toEqual({ ...newDraft('churn'), run: '01JOTHER', dropDisplays: true });
  });
});

describe('localProblem', () => {
  it('finds names that cannot be', () => {
    const at = (edits: Edit[]) => localProblem(after(edits));
    expect(at([])).toBeNull();
    expect(at([{ kind: 'name', name: 'a b' }])).toEqual({ place: 'name', kind: 'pipeline' });
    const renamed = (name: string): Edit[] => [
      { kind: 'parameter', original: 'strength', change: { name } }
    ];
    expect(at(renamed('C-1'))).toEqual({ place: 'parameters.strength', kind: 'parameter' });
    expect(at(renamed(''))).toEqual({ place: 'parameters.strength', kind: 'parameter' });
    expect(at(renamed('größe'))).toBeNull();
    expect(at([{ kind: 'rename', first: 4, name: 'a b' }])).toEqual({
      place: 'steps.4',
      kind: 'step'
    });
    expect(at([{ kind: 'rename', first: 4, name: 'load' }])).toEqual({
      place: 'steps.4',
      kind: 'twice'
    });
  });
});

describe('groupCells', () => {
  it('keeps dropped cells beside what ran before them', () => {
    const groups = groupCells(shown);
    expect(groups.map(group => [group.step?.name, group.cells.map(cell => cell.seq)])).toEqual([
      ['load', [1, 2, 3]],
      ['train', [4, 5]]
    ]);
  });

  it('knows where a step begins that took in a function from before', () => {
    const steps = [planStep('load', [1, 3]), planStep('train', [2, 4, 5])];
    expect(steps.map(step => firstOf(step, steps))).toEqual([1, 4]);
    const moved = plan({ steps, cells: [1, 2, 3, 4, 5].map(seq => planCell(seq)) });
    expect(groupCells(moved).map(group => group.cells.map(cell => cell.seq))).toEqual([
      [1, 3],
      [2, 4, 5]
    ]);
  });

  it('has one group where nothing can be divided', () => {
    expect(groupCells(plan({ steps: [] }))).toMatchObject([{ step: null }]);
  });
});

it('names places as the server does', () => {
  expect(placeOf({ kind: 'begin', seq: 6 })).toBe('steps.6');
  expect(placeOf({ kind: 'cell', seq: 6, kept: true })).toBe('cells.6');
  expect(placeOf({ kind: 'parameter', original: 'a', change: {} })).toBe('parameters.a');
});

it('knows where a problem can be shown', () => {
  const places = ['name', 'parameters.seed', 'cells.3', 'steps.4'];
  expect(places.filter(place => hasPlace(shown, place))).toEqual(places);
  const others = ['run', 'data', 'edits', 'parameters.gone', 'cells.9', 'steps.3'];
  expect(others.filter(place => hasPlace(shown, place))).toEqual([]);
});

it('finds the folder of the pipeline beside the project', () => {
  expect(pipelineFolder('team/drafts/churn.ipynb', shown)).toBe('team/pipelines/churn');
  expect(pipelineFolder('drafts/churn.ipynb', shown)).toBe('pipelines/churn');
  expect(pipelineFolder('other.ipynb', shown)).toBeNull();
});

it('counts executions of the same cell', () => {
  expect(repetition(planCell(4, { cell_id: 'c5', name: 'c5-2' }))).toBe(2);
  expect(repetition(planCell(4, { cell_id: 'c5-2', name: 'c5-2' }))).toBe(1);
});
