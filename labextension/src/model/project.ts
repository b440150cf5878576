import type {
  IDeployment,
  IPipelines,
  IRegisteredModel,
  IRunSummary,
  ISchedules,
  ISnapshots,
  IStatus
} from './types';
import type { Part } from './changes';
import { PARTS } from './changes';
import type { IApi, ISnapshotQuery } from './port';
import { Resource } from './resource';
import { SHOWN_RUNS } from './runs';
import { FIRST_VERSIONS, SHOWN_NAMES } from './snapshots';

/** Everything the panel shows of one project; kept while another project is in front. */
export class ProjectData {
  /**
   * `path` is a contents path inside the project. The project's own root may lie above the
   * server's, where it has no contents path.
   */
  constructor(
    readonly key: string,
    public path: string,
    api: IApi
  ) {
    this.status = new Resource(() => api.status(this.path));
    this.models = new Resource(() => api.models(this.path));
    this.runs = new Resource(() => api.runs(this.path, SHOWN_RUNS));
    this.snapshots = new Resource(() => api.snapshots(this.path, this._wanted));
    this.pipelines = new Resource(() => api.pipelines(this.path));
    this.schedules = new Resource(() => api.schedules(this.path));
    this.deployments = new Resource(() => api.deployments(this.path));
  }

  readonly status: Resource<IStatus>;
  readonly models: Resource<IRegisteredModel[]>;
  readonly runs: Resource<IRunSummary[]>;
  readonly snapshots: Resource<ISnapshots>;
  readonly pipelines: Resource<IPipelines>;
  readonly schedules: Resource<ISchedules>;
  readonly deployments: Resource<IDeployment[]>;

  /** Which snapshots are listed. */
  get wanted(): ISnapshotQuery {
    return this._wanted;
  }

  /** List other snapshots. */
  async want(change: Partial<ISnapshotQuery>): Promise<void> {
    const next = { ...this._wanted, ...change };
    const keys = Object.keys(change) as (keyof ISnapshotQuery)[];
    if (keys.some(key => next[key] !== this._wanted[key])) {
      this._wanted = next;
      await this.snapshots.refresh();
    }
  }

  /** Note that `parts` changed on the server, to be fetched when they are next looked at. */
  invalidate(parts: Iterable<Part>): void {
    for (const part of parts) {
      this._stale.add(part);
    }
  }

  /**
   * Fetch what is stale, was never fetched, or is at least `age` milliseconds old; `known` has just
   * been fetched.
   */
  async freshen(age: number, known?: Part): Promise<void> {
    const old = PARTS.filter(
      part => part !== known && (this._stale.has(part) || Date.now() - this[part].fetchedAt >= age)
    );
    this._stale.clear();
    await Promise.all(old.map(part => this[part].refresh()));
  }

  private _wanted: ISnapshotQuery = {
    search: '',
    automatic: false,
    each: FIRST_VERSIONS,
    limit: SHOWN_NAMES
  };
  private readonly _stale = new Set<Part>();
}
