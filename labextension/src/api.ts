import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';

import type { IComparison } from './model/compare';
import { readComparison } from './model/compare';
import { ApiError, errorFromAnswer, errorFromFailure } from './model/errors';
import type { IApi, IPage, ISnapshotQuery } from './model/port';
import type {
  IAliasChange,
  IDeployment,
  IFinding,
  IJob,
  IModelVersion,
  IPlan,
  IProject,
  IRegisteredModel,
  IRun,
  IRunSummary,
  IPipelines,
  ISchedules,
  ISnapshotChange,
  ISnapshotDetails,
  ISnapshotDiff,
  ISnapshotRuns,
  ISnapshotUsage,
  ISnapshots,
  ISentCell,
  IStatus
} from './model/types';
import type { components } from './rest';

const PREFIX = 'mlops/api/v1';

/** Reads answer from local state; what writes may wait for the tracking server. */
const READ_TIMEOUT_MS = 30_000;
const WRITE_TIMEOUT_MS = 180_000;
/** Large frames are compared row by row. */
const DIFF_TIMEOUT_MS = 180_000;

type Schemas = components['schemas'];
type Query = Record<string, string | number>;

/**
 * The one client of the server extension's REST API.
 *
 * Every method rejects with an `ApiError`, never with anything else. Requests go through
 * `ServerConnection`, which adds the token and the XSRF header.
 */
export class Api implements IApi {
  constructor(private readonly _settings: ServerConnection.ISettings) {}

  status(path: string): Promise<IStatus> {
    return this._get('status', { path });
  }

  async projects(): Promise<IProject[]> {
    return (await this._get<Schemas['Projects']>('projects')).projects;
  }

  async models(path: string): Promise<IRegisteredModel[]> {
    return (await this._get<Schemas['Models']>('models', { path })).models;
  }

  async code(path: string, name: string, version: number): Promise<string> {
    return (await this._get<Schemas['Code']>('models/code', { path, name, version })).code;
  }

  async register(
    path: string,
    runId: string,
    name: string,
    model?: string
  ): Promise<IModelVersion> {
    const body: Schemas['NewVersion'] = { path, run_id: runId, name };
    if (model !== undefined) {
      body.model = model;
    }
    const answer = await this._send<Schemas['CreatedVersion']>('POST', 'models/versions', body);
    return answer.version;
  }

  setAlias(path: string, name: string, alias: string, version: number): Promise<IAliasChange> {
    const body: Schemas['NewAlias'] = { path, name, alias, version };
    return this._send('PUT', 'models/aliases', body);
  }

  revertAlias(path: string, name: string, alias: string): Promise<IAliasChange> {
    const body: Schemas['RevertAlias'] = { path, name, alias };
    return this._send('POST', 'models/aliases/revert', body);
  }

  async runs(path: string, limit: number): Promise<IRunSummary[]> {
    return (await this._get<Schemas['Runs']>('runs', { path, limit })).runs;
  }

  async renameRun(path: string, runId: string, name: string): Promise<void> {
    const body: Schemas['NewName'] = { path, name };
    await this._send('PUT', `runs/${encodeURIComponent(runId)}/name`, body);
  }

  async deleteRun(path: string, runId: string): Promise<void> {
    const query = new URLSearchParams({ path }).toString();
    await this._request(`runs/${encodeURIComponent(runId)}?${query}`, { method: 'DELETE' });
  }

  async restoreRun(path: string, runId: string): Promise<void> {
    const body: Schemas['Place'] = { path };
    await this._send('POST', `runs/${encodeURIComponent(runId)}/restore`, body);
  }

  run(path: string, runId: string): Promise<IRun> {
    return this._get(`runs/${encodeURIComponent(runId)}`, { path });
  }

  async compare(path: string, a: string, b: string): Promise<IComparison> {
    return readComparison(await this._get('runs/compare', { path, a, b }));
  }

  snapshots(path: string, query: ISnapshotQuery): Promise<ISnapshots> {
    return this._get('snapshots', { ...query, path, automatic: Number(query.automatic) });
  }

  snapshot(path: string, spec: string, page: IPage): Promise<ISnapshotDetails> {
    return this._get('snapshots/version', { path, spec, ...page });
  }

  snapshotRuns(path: string, spec: string): Promise<ISnapshotRuns> {
    return this._get('snapshots/runs', { path, spec });
  }

  snapshotUsage(path: string): Promise<ISnapshotUsage> {
    return this._get('snapshots/usage', { path });
  }

  snapshotDiff(
    path: string,
    a: string,
    b: string,
    key: string,
    page: IPage
  ): Promise<ISnapshotDiff> {
    const query = { path, a, b, ...page };
    return this._get('snapshots/diff', key === '' ? query : { ...query, key }, DIFF_TIMEOUT_MS);
  }

  tagSnapshot(path: string, name: string, version: number, tag: string): Promise<ISnapshotChange> {
    const body: Schemas['SnapshotTag'] = { path, name, version, tag };
    return this._send('PUT', 'snapshots/tags', body);
  }

  untagSnapshot(path: string, name: string, tag: string): Promise<ISnapshotChange> {
    const query = new URLSearchParams({ path, name, tag }).toString();
    return this._request(`snapshots/tags?${query}`, { method: 'DELETE' });
  }

  async removeSnapshot(path: string, name: string, version: number): Promise<void> {
    const body: Schemas['SnapshotPlace'] = { path, name, version };
    await this._send('POST', 'snapshots/remove', body);
  }

  async restoreSnapshot(path: string, name: string, version: number): Promise<void> {
    const body: Schemas['SnapshotPlace'] = { path, name, version };
    await this._send('POST', 'snapshots/restore', body);
  }

  pipelines(path: string): Promise<IPipelines> {
    return this._get('pipelines', { path });
  }

  async runPipeline(
    path: string,
    pipeline: string,
    parameters: Record<string, unknown>
  ): Promise<IJob> {
    const body = { path, pipeline, parameters };
    return (await this._send<Schemas['Job']>('POST', 'pipelines/runs', body)).job;
  }

  schedules(path: string): Promise<ISchedules> {
    return this._get('schedules', { path });
  }

  async deployments(path: string): Promise<IDeployment[]> {
    return (await this._get<Schemas['Deployments']>('deployments', { path })).deployments;
  }

  async stopDeployment(path: string, id: string): Promise<void> {
    const body: Schemas['Place'] = { path };
    await this._send('POST', `deployments/${encodeURIComponent(id)}/stop`, body);
  }

  plan(body: Schemas['NewPlan']): Promise<IPlan> {
    return this._send('POST', 'promotions/plan', body);
  }

  async promote(body: Schemas['NewPromotion']): Promise<IJob> {
    return (await this._send<Schemas['Job']>('POST', 'promotions', body)).job;
  }

  async job(id: string): Promise<IJob> {
    return (await this._get<Schemas['Job']>(`jobs/${encodeURIComponent(id)}`)).job;
  }

  async check(path: string, cells: ISentCell[] | null): Promise<IFinding[]> {
    const body: Schemas['NewCheck'] = cells === null ? { path } : { path, cells };
    return (await this._send<Schemas['Check']>('POST', 'checks', body)).findings;
  }

  async sync(path: string): Promise<void> {
    const body: Schemas['Place'] = { path };
    const { error } = await this._send<Schemas['Refreshed']>('POST', 'refresh', body);
    if (error !== null) {
      throw new ApiError({ message: error.message, hint: error.hint, reason: 'service' });
    }
  }

  private _get<T>(path: string, query: Query = {}, timeout = READ_TIMEOUT_MS): Promise<T> {
    const text = new URLSearchParams(
      Object.entries(query).map(([key, value]) => [key, String(value)])
    ).toString();
    return this._request(text === '' ? path : `${path}?${text}`, { method: 'GET' }, timeout);
  }

  private _send<T>(method: 'POST' | 'PUT', path: string, body: object): Promise<T> {
    return this._request(path, { method, body: JSON.stringify(body) });
  }

  private async _request<T>(
    path: string,
    init: RequestInit,
    timeout = WRITE_TIMEOUT_MS
  ): Promise<T> {
    const url = `${URLExt.join(this._settings.baseUrl, PREFIX)}/${path}`;
    const request = `${init.method} ${PREFIX}/${path}`;
    const signal = AbortSignal.timeout(timeout);
    let response: Response;
    let body: string;
    try {
      response = await ServerConnection.makeRequest(
        url,
        // JupyterLab's default, no-store, would add a nameless query argument.
        { ...init, cache: 'no-cache', signal },
        this._settings
      );
      body = await response.text();
    } catch (cause) {
      // `ServerConnection` makes one kind of error of a timeout and a dead server.
      throw errorFromFailure(signal.aborted ? signal.reason : cause, request);
    }
    if (!response.ok) {
      throw errorFromAnswer(response.status, body, request);
    }
    try {
      return (body === '' ? {} : JSON.parse(body)) as T;
    } catch {
      throw errorFromAnswer(response.status, body, request);
    }
  }
}
