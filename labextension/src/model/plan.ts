import { isPipelineName } from './names';
import type { INewPlan, INewPromotion, IPlan, IPlanCell, IPlanStep } from './types';

/** What a person makes of a plan before it is promoted. Keys are those of `PlanEdits`. */
export interface IDraft {
  readonly name: string;
  /** The tracked run; `null` for the newest finished one. */
  readonly run: string | null;
  readonly mode: Mode;
  /** By the parameter's name in the notebook. */
  readonly parameters: Readonly<Record<string, IParameterEdit>>;
  /** Keep or drop, by `seq`. */
  readonly cells: Readonly<Record<number, boolean>>;
  /** All steps, where the person drew any; `null` takes the proposed ones. */
  readonly steps: readonly IStepEdit[] | null;
  readonly dropDisplays: boolean;
  readonly data: 'source' | 'pinned';
  readonly allowPickle: boolean;
}

export type Mode = 'auto' | 'one' | 'headings';
export type ParameterType = (typeof PARAMETER_TYPES)[number];
export const PARAMETER_TYPES = [
  'string',
  'number',
  'integer',
  'boolean',
  'array',
  'object'
] as const;

export interface IParameterEdit {
  readonly name?: string;
  readonly type?: ParameterType;
  readonly included?: boolean;
}

export interface IStepEdit {
  readonly name: string;
  /** `seq` of its first cell. */
  readonly first: number;
}

/** One change of a person's. */
export type Edit =
  | { kind: 'name'; name: string }
  | { kind: 'run'; run: string }
  | { kind: 'mode'; mode: Mode }
  | { kind: 'parameter'; original: string; change: IParameterEdit }
  | { kind: 'cell'; seq: number; kept: boolean }
  | { kind: 'begin'; seq: number }
  | { kind: 'join'; first: number }
  | { kind: 'rename'; first: number; name: string }
  | { kind: 'dropDisplays'; on: boolean }
  | { kind: 'data'; data: 'source' | 'pinned' }
  | { kind: 'allowPickle'; on: boolean };

export function newDraft(name: string): IDraft {
  return {
    name,
    run: null,
    mode: 'auto',
    parameters: {},
    cells: {},
    steps: null,
    dropDisplays: false,
    data: 'source',
    allowPickle: false
  };
}

/** The draft with one change in it; `plan` is what the person saw when making it. */
export function applyEdit(draft: IDraft, edit: Edit, plan: IPlan | null): IDraft {
  switch (edit.kind) {
    case 'name':
      return { ...draft, name: edit.name };
    case 'run':
      // Another run may be of another session, whose cells have other numbers.
      return { ...draft, run: edit.run, cells: {}, steps: null, parameters: {} };
    case 'mode':
      return { ...draft, mode: edit.mode, steps: null };
    case 'dropDisplays':
      return { ...draft, dropDisplays: edit.on };
    case 'data':
      return { ...draft, data: edit.data };
    case 'allowPickle':
      return { ...draft, allowPickle: edit.on };
    case 'parameter':
      return { ...draft, parameters: withParameter(draft, edit.original, edit.change, plan) };
    case 'cell':
      return withCell(draft, edit.seq, edit.kept, plan);
    case 'begin': {
      const steps = stepsOf(draft, plan);
      if (steps.some(step => step.first === edit.seq)) {
        return draft;
      }
      const before = steps.filter(step => step.first < edit.seq);
      const name = freeName(before[before.length - 1]?.name ?? 'step', steps);
      return withSteps(draft, [...steps, { name, first: edit.seq }]);
    }
    case 'join': {
      const steps = stepsOf(draft, plan);
      const left = steps.filter((step, index) => index === 0 || step.first !== edit.first);
      return left.length === steps.length ? draft : withSteps(draft, left);
    }
    default: {
      const steps = stepsOf(draft, plan).map(step =>
        step.first === edit.first ? { ...step, name: edit.name } : step
      );
      return withSteps(draft, steps);
    }
  }
}

/** Whether a person types this change, and may not have come to the end of it. */
export function isTyped(edit: Edit): boolean {
  return (
    edit.kind === 'name' ||
    edit.kind === 'rename' ||
    (edit.kind === 'parameter' && edit.change.name !== undefined)
  );
}

/** Where the view shows what is wrong with a change. The server names places likewise. */
export function placeOf(edit: Edit): string {
  switch (edit.kind) {
    case 'parameter':
      return `parameters.${edit.original}`;
    case 'cell':
      return `cells.${edit.seq}`;
    case 'begin':
      return `steps.${edit.seq}`;
    case 'join':
    case 'rename':
      return `steps.${edit.first}`;
    default:
      return edit.kind;
  }
}

/** Whether the view of a plan has something at this place; else a problem is shown above it. */
export function hasPlace(plan: IPlan, place: string): boolean {
  const [kind, key] = [place.slice(0, place.indexOf('.')), place.slice(place.indexOf('.') + 1)];
  switch (kind) {
    case 'parameters':
      return plan.parameters.some(parameter => parameter.original === key);
    case 'cells':
      return plan.cells.some(cell => String(cell.seq) === key);
    case 'steps':
      return plan.cells.some(cell => cell.kept && String(cell.seq) === key);
    default:
      return place === 'name' || place === 'mode' || place === 'dropDisplays';
  }
}

/** A name that cannot be, known before the server is asked. */
export interface ILocalProblem {
  place: string;
  kind: 'pipeline' | 'parameter' | 'step' | 'twice';
}

export function localProblem(draft: IDraft): ILocalProblem | null {
  if (!isPipelineName(draft.name.trim())) {
    return { place: 'name', kind: 'pipeline' };
  }
  for (const [original, { name }] of Object.entries(draft.parameters)) {
    if (name !== undefined && !/^[\p{L}_][\p{L}\p{N}_]*$/u.test(name)) {
      return { place: `parameters.${original}`, kind: 'parameter' };
    }
  }
  const steps = draft.steps ?? [];
  for (const [index, { name, first }] of steps.entries()) {
    // The same rule as the server's: it becomes the name of a file.
    if (!/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/.test(name)) {
      return { place: `steps.${first}`, kind: 'step' };
    }
    if (steps.findIndex(step => step.name === name) < index) {
      return { place: `steps.${first}`, kind: 'twice' };
    }
  }
  return null;
}

/** The request that plans a draft. */
export function planRequest(path: string, draft: IDraft): INewPlan {
  const edits: NonNullable<INewPlan['edits']> = {};
  if (Object.keys(draft.parameters).length > 0) {
    edits.parameters = { ...draft.parameters };
  }
  if (Object.keys(draft.cells).length > 0) {
    edits.cells = Object.fromEntries(Object.entries(draft.cells));
  }
  if (draft.steps !== null) {
    edits.steps = draft.steps.map(step => ({ ...step }));
  }
  const body: INewPlan = { path, name: draft.name.trim(), steps: draft.mode };
  if (draft.run !== null) {
    body.run = draft.run;
  }
  if (Object.keys(edits).length > 0) {
    body.edits = edits;
  }
  if (draft.dropDisplays) {
    body.drop_displays = true;
  }
  return body;
}

/** The request that promotes what `plan` showed: of the run it was made of, not of a newer one. */
export function promotionRequest(
  path: string,
  draft: IDraft,
  plan: IPlan,
  force = false
): INewPromotion {
  const body: INewPromotion = { ...planRequest(path, draft), data: draft.data };
  if (plan.run_id !== null) {
    body.run = plan.run_id;
  }
  if (draft.allowPickle) {
    body.allow_pickle = true;
  }
  if (force) {
    body.force = true;
  }
  return body;
}

/**
 * The cell at which a step begins.
 *
 * A cell that only defines functions may stand in a later step that uses them: then it is not where
 * that step begins.
 */
export function firstOf(step: IPlanStep, steps: readonly IPlanStep[]): number {
  const before = steps.slice(0, steps.indexOf(step)).flatMap(other => other.cells);
  const last = Math.max(-1, ...before);
  return step.cells.find(seq => seq > last) ?? step.cells[0] ?? 0;
}

/** The cells of one step as they are shown, those that are dropped beside those they stood by. */
export interface IGroup {
  step: IPlanStep | null;
  first: number;
  cells: IPlanCell[];
}

/** The cells in executed order, by step; a dropped one stays with what ran before it. */
export function groupCells(plan: IPlan): IGroup[] {
  const groups: IGroup[] = plan.steps.map(step => ({
    step,
    first: firstOf(step, plan.steps),
    cells: []
  }));
  if (groups.length === 0) {
    return [{ step: null, first: 0, cells: [...plan.cells] }];
  }
  for (const cell of plan.cells) {
    const own = cell.kept ? groups.find(group => group.step?.cells.includes(cell.seq)) : undefined;
    // A step begins at its first cell: what ran before and is not of it belongs to the one before.
    const around = [...groups].reverse().find(group => group.first < cell.seq) ?? groups[0];
    (own ?? around)!.cells.push(cell);
  }
  return groups;
}

/** How many times the same cell is kept: two executions of it become two cells. */
export function repetition(cell: IPlanCell): number {
  const found = /-(\d+)$/.exec(cell.name);
  const base = cell.cell_id;
  return found !== null && base !== null && cell.name === `${base}-${found[1]}`
    ? Number(found[1])
    : 1;
}

/** A step's name as the person has it now, which the plan may not yet know. */
export function stepName(draft: IDraft, step: IPlanStep, first: number): string {
  return draft.steps?.find(other => other.first === first)?.name ?? step.name;
}

/** Where the pipeline's files are, as a contents path: beside the notebook's project. */
export function pipelineFolder(path: string, plan: IPlan): string | null {
  if (path !== plan.notebook && !path.endsWith(`/${plan.notebook}`)) {
    return null;
  }
  return `${path.slice(0, path.length - plan.notebook.length)}pipelines/${plan.name}`;
}

/** The type in a parameter's schema; `null` where it says none, or several. */
export function typeOf(schema: Record<string, unknown>): ParameterType | null {
  return PARAMETER_TYPES.find(type => type === schema.type) ?? null;
}

function stepsOf(draft: IDraft, plan: IPlan | null): readonly IStepEdit[] {
  return (
    draft.steps ??
    (plan?.steps ?? []).map(step => ({ name: step.name, first: firstOf(step, plan!.steps) }))
  );
}

function withSteps(draft: IDraft, steps: IStepEdit[]): IDraft {
  // Drawn steps are not looked at where one step was asked for.
  const mode = draft.mode === 'one' ? 'auto' : draft.mode;
  return { ...draft, mode, steps: [...steps].sort((a, b) => a.first - b.first) };
}

function withParameter(
  draft: IDraft,
  original: string,
  change: IParameterEdit,
  plan: IPlan | null
): IDraft['parameters'] {
  const next: Record<string, IParameterEdit> = { ...draft.parameters };
  const merged = { ...next[original], ...change };
  delete next[original];
  const proposed = draft.parameters[original] ?? {};
  const shown = plan?.parameters.find(parameter => parameter.original === original);
  const type =
    shown !== undefined && proposed.type === undefined ? typeOf(shown.schema) : undefined;
  // What is as proposed is no change; it must not bind the plan to a parameter.
  const kept: IParameterEdit = {
    ...(merged.name !== undefined && merged.name !== original ? { name: merged.name } : {}),
    ...(merged.type !== undefined && merged.type !== type ? { type: merged.type } : {}),
    ...(merged.included === false ? { included: false } : {})
  };
  if (Object.keys(kept).length > 0) {
    next[original] = kept;
  }
  return next;
}

function withCell(draft: IDraft, seq: number, kept: boolean, plan: IPlan | null): IDraft {
  const cells: Record<number, boolean> = { ...draft.cells };
  const shown = plan?.cells.find(cell => cell.seq === seq);
  const proposed =
    shown === undefined ? undefined : shown.changed_by_person ? !shown.kept : shown.kept;
  if (kept === proposed) {
    delete cells[seq];
  } else {
    cells[seq] = kept;
  }
  const next = { ...draft, cells };
  const drawn = draft.steps?.find(step => step.first === seq);
  if (kept || draft.steps === null || drawn === undefined || plan === null) {
    return next;
  }
  // The step that began here begins at what is left of it, or is no more.
  const after = draft.steps.find(step => step.first > seq)?.first ?? Infinity;
  const left = plan.cells.find(
    cell => cell.seq > seq && cell.seq < after && (cells[cell.seq] ?? cell.kept)
  );
  const steps = draft.steps.flatMap(step =>
    step !== drawn ? [step] : left === undefined ? [] : [{ ...step, first: left.seq }]
  );
  return { ...next, steps: steps.length > 0 ? steps : null };
}

function freeName(base: string, steps: readonly IStepEdit[]): string {
  const stem = base.replace(/-\d+$/, '').slice(0, 60);
  let number = 2;
  while (steps.some(step => step.name === `${stem}-${number}`)) {
    number += 1;
  }
  return `${stem}-${number}`;
}
