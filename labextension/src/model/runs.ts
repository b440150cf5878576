import type { IRunSummary } from './types';

/** Runs that the panel lists; the command line lists them all. */
export const SHOWN_RUNS = 100;

const PREFERRED = [
  'accuracy',
  'auc',
  'roc_auc',
  'f1',
  'r2',
  'rmse',
  'mae',
  'mse',
  'log_loss',
  'loss',
  'score'
];

/** The metric to show first: a well-known one, else the first. Same rule as the server's. */
export function keyMetric(metrics: IRunSummary['metrics']): string | null {
  const names = Object.keys(metrics);
  for (const wanted of PREFERRED) {
    const found = names.find(name => {
      const lower = name.toLowerCase();
      return lower === wanted || lower.endsWith(`_${wanted}`);
    });
    if (found !== undefined) {
      return found;
    }
  }
  return names[0] ?? null;
}

/** Choose a run, or no longer; of more than two the one chosen first is left. */
export function choose(chosen: readonly string[], runId: string): string[] {
  return chosen.includes(runId) ? chosen.filter(id => id !== runId) : [...chosen, runId].slice(-2);
}

/** The two chosen runs that are still there, the earlier one first; `null` without two. */
export function pairOf(
  runs: readonly IRunSummary[],
  chosen: readonly string[]
): [IRunSummary, IRunSummary] | null {
  const found = runs
    .filter(run => chosen.includes(run.run_id))
    .sort((one, other) => one.started - other.started);
  return found.length === 2 ? [found[0], found[1]] : null;
}
