import { Emitter } from './emitter';
import { reconcile } from './equality';
import type { ApiError } from './errors';
import { asApiError } from './errors';
import type { Edit, IDraft, ILocalProblem } from './plan';
import {
  applyEdit,
  isTyped,
  localProblem,
  newDraft,
  pipelineFolder,
  placeOf,
  planRequest,
  promotionRequest
} from './plan';
import type { IApi } from './port';
import type { IPromoted } from './promotion';
import { finishJob, readPromotion } from './promotion';
import type { IPlan, IRunSummary } from './types';

/** How long a person must have paused before the plan is asked again, in milliseconds. */
const QUIET_MS = 350;
const RUNS = 100;

/** A change that the server refused, and where it is shown; `null` is the whole plan. */
export interface IRefusal {
  readonly place: string | null;
  readonly error: ApiError;
  /** Whether the change is still in the draft: then it must be mended or taken back. */
  readonly held: boolean;
}

export interface IPreviewState {
  readonly draft: IDraft;
  /** The last plan that could be made; `null` before the first. */
  readonly plan: IPlan | null;
  readonly refusal: IRefusal | null;
  readonly local: ILocalProblem | null;
  /** Whether the plan is not yet of the draft. */
  readonly asking: boolean;
  readonly promoting: boolean;
  /** What the promotion says while it runs. */
  readonly progress: string;
  readonly made: IPromoted | null;
  readonly failure: ApiError | null;
  /** Whether a pipeline of this name is there already. */
  readonly again: boolean;
  /** Finished runs of this notebook, newest first. */
  readonly runs: readonly IRunSummary[];
  /** Whether what is shown is what a promotion would write. */
  readonly ready: boolean;
}

type Asked = Pick<IApi, 'plan' | 'promote' | 'job' | 'runs'>;

/**
 * A promotion before anything is written: the draft, and the plan that the server makes of it.
 *
 * Every change asks the plan again, and only the answer to the newest question counts. A change
 * that cannot be is shown where it was made and the last good plan stays; if it was typed it stays
 * to be mended, if it was a click it is taken back.
 */
export class PromotionPreview extends Emitter {
  constructor(
    private readonly _api: Asked,
    readonly path: string,
    name: string,
    private readonly _jobChanged: (ms: number) => Promise<void>,
    private readonly _exists: (folder: string) => Promise<boolean> = async () => false
  ) {
    super();
    this._good = newDraft(name);
    this._state = {
      draft: this._good,
      plan: null,
      refusal: null,
      local: localProblem(this._good),
      asking: true,
      promoting: false,
      progress: '',
      made: null,
      failure: null,
      again: false,
      runs: [],
      ready: false
    };
  }

  get = (): IPreviewState => this._state;

  /** Ask the plan now, after the notebook may have changed. */
  async refresh(): Promise<void> {
    clearTimeout(this._timer);
    await Promise.all([this._ask(), this._readRuns()]);
  }

  edit(edit: Edit): void {
    const { draft, plan, promoting, refusal } = this._state;
    const next = applyEdit(draft, edit, plan);
    if (promoting || next === draft) {
      return;
    }
    this._edits.push(edit);
    this._turn += 1;
    clearTimeout(this._timer);
    const local = localProblem(next);
    const kept = refusal?.held === true ? refusal : null;
    this._set({ draft: next, local, refusal: kept, asking: local === null });
    if (local === null) {
      this._timer = setTimeout(() => void this._ask(), QUIET_MS);
    }
  }

  /** Go back to the changes of the plan that is shown. */
  takeBack(): void {
    clearTimeout(this._timer);
    this._turn += 1;
    this._edits = [];
    const { plan } = this._state;
    this._set({ draft: this._good, local: null, refusal: null, asking: plan === null });
    if (plan === null) {
      void this._ask();
    }
  }

  /** Hide what came of the last promotion. */
  dismiss(): void {
    this._set({ made: null, failure: null });
  }

  /**
   * Promote what is shown; `progress` hears what is said meanwhile. Resolves to `null` where the
   * plan that is shown is not of the draft; rejects with an `ApiError`, which is shown as well.
   */
  async promote(
    progress: (message: string) => void = () => undefined,
    force = false
  ): Promise<IPromoted | null> {
    const { draft, plan, ready } = this._state;
    if (!ready || plan === null) {
      return null;
    }
    this._set({ promoting: true, progress: '', made: null, failure: null, refusal: null });
    try {
      const body = promotionRequest(this.path, draft, plan, force);
      const job = await finishJob(
        this._api,
        await this._api.promote(body),
        this._jobChanged,
        message => {
          this._set({ progress: message });
          progress(message);
        }
      );
      const made = readPromotion(job, plan.name);
      this._set({ promoting: false, made, again: true });
      return made;
    } catch (cause) {
      const failure = asApiError(cause);
      this._set({ promoting: false, failure });
      throw failure;
    }
  }

  dispose(): void {
    clearTimeout(this._timer);
    this._turn += 1;
    this._disposed = true;
  }

  private async _ask(): Promise<void> {
    const turn = ++this._turn;
    const { draft } = this._state;
    const edits = this._edits;
    this._set({ asking: true });
    try {
      const plan = await this._api.plan(planRequest(this.path, draft));
      if (turn === this._turn) {
        this._good = draft;
        this._edits = [];
        this._set({ plan: reconcile(this._state.plan, plan), refusal: null, asking: false });
        void this._look(plan);
      }
    } catch (cause) {
      if (turn === this._turn) {
        this._refuse(asApiError(cause), edits);
      }
    }
  }

  private _refuse(error: ApiError, edits: readonly Edit[]): void {
    const field = error.fields['field'];
    const said = typeof field === 'string' ? field.replace(/^edits\./, '') : null;
    const last = edits[edits.length - 1];
    const place = said ?? (last === undefined ? null : placeOf(last));
    const held = last === undefined || edits.some(isTyped);
    if (held) {
      this._set({ refusal: { place, error, held: last !== undefined }, asking: false });
      return;
    }
    this._edits = [];
    const draft = this._good;
    this._set({ draft, local: null, refusal: { place, error, held }, asking: false });
  }

  /** Say whether there is such a pipeline, which a promotion would change. */
  private async _look(plan: IPlan): Promise<void> {
    const folder = pipelineFolder(this.path, plan);
    const again = folder !== null && (await this._exists(folder).catch(() => false));
    if (this._state.plan?.name === plan.name) {
      this._set({ again });
    }
  }

  private async _readRuns(): Promise<void> {
    try {
      const runs = await this._api.runs(this.path, RUNS);
      const own = (run: IRunSummary) =>
        run.notebook !== null &&
        (this.path === run.notebook || this.path.endsWith(`/${run.notebook}`));
      this._set({ runs: runs.filter(run => run.status === 'FINISHED' && own(run)) });
    } catch {
      // The plan says which run it is of; without the list there is no other to choose.
    }
  }

  private _set(change: Partial<IPreviewState>): void {
    if (this._disposed) {
      return;
    }
    const next = { ...this._state, ...change };
    const whole = next.plan !== null && next.draft === this._good && next.local === null;
    this._state = { ...next, ready: whole && !next.asking && !next.promoting && !stuck(next) };
    this.emit();
  }

  private _state: IPreviewState;
  /** The draft that the plan is of. */
  private _good: IDraft;
  /** The changes since then. */
  private _edits: Edit[] = [];
  private _turn = 0;
  private _timer: ReturnType<typeof setTimeout> | undefined;
  private _disposed = false;
}

/** Whether what is shown could not be planned again: the notebook, or the server, has changed. */
function stuck({ refusal }: IPreviewState): boolean {
  return refusal !== null && refusal.place === null;
}
