import type { IPlan, IPlanCell, IPlanStep } from '../types';

/** A plan as the server answers it: five cells, the third dropped, in two steps. */
export function plan(change: Partial<IPlan> = {}): IPlan {
  return {
    version: 1,
    name: 'churn',
    notebook: 'drafts/churn.ipynb',
    basis: 'session',
    run_id: '01JRUN',
    targets: [],
    mode: 'auto',
    cells: [1, 2, 3, 4, 5].map(seq => planCell(seq, { kept: seq !== 3 })),
    parameters: ['strength', 'seed'].map(name => ({
      name,
      original: name,
      default: 1,
      schema: { type: 'number' },
      rank: 1,
      reason: '',
      seq: 1,
      included: true
    })),
    steps: [planStep('load', [1, 2]), planStep('train', [4, 5])],
    files: [],
    metrics: { accuracy: 0.9 },
    model: null,
    unseeded: [],
    refused_cuts: [],
    warnings: [],
    ...change
  };
}

export function planCell(seq: number, change: Partial<IPlanCell> = {}): IPlanCell {
  return {
    seq,
    name: `c${seq}`,
    cell_id: `c${seq}`,
    source: `x = ${seq}`,
    kept: true,
    reason: '',
    state: 'as_is',
    step: null,
    seconds: 0,
    changed_by_person: false,
    ...change
  };
}

export function planStep(name: string, cells: number[]): IPlanStep {
  return { name, cells, reason: '', inputs: {}, outputs: [], needs: [] };
}
