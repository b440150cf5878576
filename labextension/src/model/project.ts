import type { IDeployment, IRegisteredModel, IRunSummary, ISchedules, IStatus } from './types';
import type { Part } from './changes';
import { PARTS } from './changes';
import type { IApi } from './port';
import { Resource } from './resource';
import { SHOWN_RUNS } from './runs';

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
    this.schedules = new Resource(() => api.schedules(this.path));
    this.deployments = new Resource(() => api.deployments(this.path));
  }

  readonly status: Resource<IStatus>;
  readonly models: Resource<IRegisteredModel[]>;
  readonly runs: Resource<IRunSummary[]>;
  readonly schedules: Resource<ISchedules>;
  readonly deployments: Resource<IDeployment[]>;

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

  private readonly _stale = new Set<Part>();
}
