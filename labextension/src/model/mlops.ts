import type { IChange, IProject, IRun, IStatus } from './types';
import { ChangeGatherer, partsOf } from './changes';
import { Emitter } from './emitter';
import { ApiError } from './errors';
import type { IKernelState } from './kernel';
import { UNKNOWN_KERNEL } from './kernel';
import { limiter } from './limit';
import { ulidTime } from './ulid';
import type { IApi } from './port';
import { ProjectData } from './project';
import { Resource } from './resource';

/** Data younger than this is not fetched again when the panel is shown, in milliseconds. */
const FRESH_MS = 30_000;

/** What the whole panel shows. */
export interface IMLopsState {
  /** `ready` shows the sections; the others a message in their place. */
  readonly view: 'loading' | 'server_missing' | 'error' | 'no_project' | 'ready';
  /** Why `view` is `error` (or `no_project`, where there cannot be one). */
  readonly error: ApiError | null;
  /** The folder whose project is shown. */
  readonly path: string;
  /** The project chosen in the switcher; `null` follows the active notebook. */
  readonly pinned: IProject | null;
  /** The project in front; stays while the next one is being looked up. */
  readonly project: ProjectData | null;
  /** The project of a folder that holds no state yet, where `view` is `no_project`. */
  readonly unborn: IStatus['project'];
  readonly kernel: IKernelState;
  /** The model version that commands act on. */
  readonly selected: { name: string; version: number } | null;
}

/** A run as a card follows it. */
export interface IRunState {
  /** `null` while the project does not know the run. */
  readonly run: IRun | null;
  /** Whether the project may come to know it: it has only just been made. */
  readonly expected: boolean;
}

/**
 * The state of the front end: the project of the active notebook, and what the server says of it.
 *
 * Free of JupyterLab: plugins feed it paths, kernels, visibility and events. It fetches only for
 * what is looked at: the panel while visible, and the runs whose cards are drawn.
 */
export class MLops extends Emitter {
  constructor(readonly api: IApi) {
    super();
  }

  readonly projects = new Resource<IProject[]>(() => this.api.projects());

  get = (): IMLopsState => this._state;

  /** Follow the active notebook's (or file browser's) folder, a contents path. */
  follow(folder: string): void {
    if (folder === this._followed) {
      return;
    }
    this._followed = folder;
    if (this._state.pinned === null) {
      void this._locate();
    }
  }

  /** Show `project` whatever notebook is active; `null` follows it again. */
  pin(project: IProject | null): void {
    if (project?.key === this._state.pinned?.key) {
      return;
    }
    this._set({ pinned: project });
    void this._locate();
  }

  /** Say whether the panel can be seen. Nothing is fetched for it while it cannot. */
  setVisible(visible: boolean): void {
    if (visible === this._visible) {
      return;
    }
    this._visible = visible;
    if (visible) {
      void this._locate();
      void this.projects.refresh();
    }
  }

  /** Whether anything is looked at that a slow poll should keep fresh. */
  get watched(): boolean {
    const drawn = [...this._runs.values()].filter(run => run.observed);
    return this._visible || drawn.some(run => isPending(run.get().data));
  }

  setKernel(kernel: IKernelState): void {
    const now = this._state.kernel;
    if (kernel.kind !== now.kind || kernel.executable !== now.executable) {
      this._set({ kernel });
    }
  }

  select(selected: IMLopsState['selected']): void {
    const now = this._state.selected;
    if (selected?.name !== now?.name || selected?.version !== now?.version) {
      this._set({ selected });
    }
  }

  /** Fetch everything that is looked at; rejects with the status's error, for a poll's backoff. */
  async refresh(): Promise<void> {
    await Promise.all([
      this._refreshRuns((_, run) => isPending(run)),
      this._visible ? this._locate(0) : null
    ]);
    const { view, error } = this._state;
    if (error !== null && view !== 'no_project') {
      throw error;
    }
  }

  /** Try again after an error, showing that it is being tried. */
  async retry(): Promise<void> {
    this._located = null;
    if (this._state.project === null) {
      this._set({ view: 'loading', error: null });
    }
    await this._locate(0);
  }

  /** Take an event of the server. */
  onChange(change: IChange): void {
    this._gatherer.add(change);
  }

  /** The code that loads a version, kept so that a drag has it at hand. */
  code(name: string, version: number): Promise<string> {
    const path = this.path;
    const key = JSON.stringify([path, name, version]);
    let found = this._codes.get(key);
    if (found === undefined) {
      found = this.api.code(path, name, version);
      this._codes.set(key, found);
      found.catch(() => this._codes.delete(key));
    }
    return found;
  }

  /** The contents path that requests name the shown project by. */
  get path(): string {
    return this._state.project?.path ?? this._state.path;
  }

  /** Follow one run; `path` is the notebook that holds its card. */
  run(runId: string, path: string): Resource<IRunState> {
    let found = this._runs.get(runId);
    if (found === undefined) {
      found = new Resource(() => this._limit(() => this._fetchRun(runId, path)));
      this._runs.set(runId, found);
    }
    return found;
  }

  /** Resolve at the next event of kind `job` or after `ms` milliseconds. */
  jobChanged(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(done, ms);
      const end = this._jobs.subscribe(done);
      function done() {
        clearTimeout(timer);
        end();
        resolve();
      }
    });
  }

  dispose(): void {
    this._gatherer.dispose();
  }

  private async _fetchRun(runId: string, path: string): Promise<IRunState> {
    try {
      return { run: await this.api.run(path, runId), expected: true };
    } catch (error) {
      if (error instanceof ApiError && error.reason === 'not_found') {
        return { run: null, expected: isYoung(runId) };
      }
      throw error;
    }
  }

  /** Find the project of the path in front, then what of it is older than `age` milliseconds. */
  private async _locate(age = FRESH_MS): Promise<void> {
    const path = this._state.pinned?.path ?? this._followed;
    this._set({ path });
    if (!this._visible) {
      return;
    }
    if (path === this._located && this._state.project !== null) {
      await this._freshen(this._state.project, age);
      return;
    }
    const turn = ++this._turn;
    let status: IStatus;
    try {
      status = await this.api.status(path);
    } catch (error) {
      if (turn === this._turn) {
        this._located = null;
        this._fail(error as ApiError);
      }
      return;
    }
    if (turn !== this._turn) {
      return;
    }
    this._located = path;
    if (status.project === null || !status.project.exists) {
      this._located = null;
      const problem = status.problem && new ApiError({ ...status.problem, reason: 'project' });
      this._set({ view: 'no_project', error: problem, unborn: status.project, project: null });
      return;
    }
    const project = this._projectData(status.project.key, path);
    project.status.put(status);
    this._set({ view: 'ready', error: null, unborn: null, project });
    await project.freshen(age, 'status');
  }

  private async _freshen(project: ProjectData, age: number): Promise<void> {
    await project.freshen(age);
    const { data, error } = project.status.get();
    if (project !== this._state.project) {
      return;
    }
    if (error !== null && error.reason === 'server_missing') {
      this._fail(error);
    } else if (error === null && data !== null && data.project?.exists !== true) {
      // Somebody removed its state.
      this._located = null;
      this._set({ view: 'no_project', unborn: data.project, project: null, error: null });
    } else {
      this._set({ view: 'ready', error: null });
    }
  }

  private _fail(error: ApiError): void {
    if (error.reason === 'server_missing') {
      this._set({ view: 'server_missing', error });
    } else if (error.reason === 'project') {
      this._set({ view: 'no_project', error, unborn: null, project: null });
    } else {
      this._set({ view: 'error', error });
    }
  }

  private _projectData(key: string, path: string): ProjectData {
    let found = this._projects.get(key);
    if (found === undefined) {
      found = new ProjectData(key, path, this.api);
      this._projects.set(key, found);
    }
    found.path = path;
    return found;
  }

  private _apply(changes: IChange[]): void {
    for (const change of changes) {
      this._projects.get(change.project)?.invalidate(partsOf(change));
    }
    if (changes.some(change => change.kind === 'job')) {
      this._jobs.emit();
    }
    const named = new Set(changes.filter(c => c.kind === 'run').map(c => c.id));
    // A burst of deliveries names only its last run, a registration only the version.
    const delivered = changes.some(c => c.kind === 'run' || c.kind === 'sync');
    const registered = changes.some(c => c.kind === 'model');
    void this._refreshRuns(
      (id, run) =>
        named.has(id) ||
        (delivered && isPending(run)) ||
        (registered && (isPending(run) || isRegistrable(run)))
    );
    if (!this._visible) {
      return;
    }
    const known = new Set(this.projects.get().data?.map(project => project.key));
    if (changes.some(change => !known.has(change.project))) {
      void this.projects.refresh();
    }
    void this._locate();
  }

  private async _refreshRuns(
    wanted: (id: string, run: IRunState | null) => boolean
  ): Promise<void> {
    const due = [...this._runs].filter(([id, run]) => run.observed && wanted(id, run.get().data));
    await Promise.all(due.map(([, run]) => run.refresh()));
  }

  private _set(change: Partial<IMLopsState>): void {
    const next = { ...this._state, ...change };
    const keys = Object.keys(change) as (keyof IMLopsState)[];
    if (keys.every(key => Object.is(next[key], this._state[key]))) {
      return;
    }
    this._state = next;
    this.emit();
  }

  private _state: IMLopsState = {
    view: 'loading',
    error: null,
    path: '',
    pinned: null,
    project: null,
    unborn: null,
    kernel: UNKNOWN_KERNEL,
    selected: null
  };
  private _followed = '';
  private _visible = false;
  private _turn = 0;
  /** The path whose project is in front; `null` asks again. */
  private _located: string | null = null;
  private readonly _gatherer = new ChangeGatherer(changes => this._apply(changes));
  private readonly _jobs = new Emitter();
  private readonly _projects = new Map<string, ProjectData>();
  private readonly _runs = new Map<string, Resource<IRunState>>();
  private readonly _codes = new Map<string, Promise<string>>();
  private readonly _limit = limiter(2);
}

/** Whether a run is on its way: not seen yet, expected, or not delivered. */
function isPending(state: IRunState | null): boolean {
  return state === null || (state.expected && state.run?.delivered !== true);
}

/** How long after it began a run may be unknown to the server, in milliseconds. */
const YOUNG_MS = 5 * 60_000;

function isYoung(runId: string): boolean {
  const made = ulidTime(runId);
  return made !== null && Math.abs(Date.now() - made) < YOUNG_MS;
}

/** Whether a registration can be of this run. */
function isRegistrable(state: IRunState | null): boolean {
  const run = state?.run;
  return run != null && run.models.length > 0 && run.registered.length === 0;
}
