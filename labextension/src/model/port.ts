import type { IComparison } from './compare';
import type {
  IAliasChange,
  IDeployment,
  IFinding,
  IJob,
  IModelVersion,
  INewPlan,
  INewPromotion,
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
} from './types';

/** Which snapshots are listed. */
export interface ISnapshotQuery {
  /** Words that all must be found in name, tags or message. */
  search: string;
  /** Whether those made by themselves, of inputs of runs, are listed too. */
  automatic: boolean;
  /** How many versions of each name. */
  each: number;
  /** How many names. */
  limit: number;
}

/** A page: `limit` from `offset` on. */
export interface IPage {
  offset: number;
  limit: number;
}

/** What the model needs of the server; every method rejects with an `ApiError` only. */
export interface IApi {
  status(path: string): Promise<IStatus>;
  projects(): Promise<IProject[]>;
  models(path: string): Promise<IRegisteredModel[]>;
  code(path: string, name: string, version: number): Promise<string>;
  register(path: string, runId: string, name: string, model?: string): Promise<IModelVersion>;
  setAlias(path: string, name: string, alias: string, version: number): Promise<IAliasChange>;
  revertAlias(path: string, name: string, alias: string): Promise<IAliasChange>;
  /** The newest runs, newest first. */
  runs(path: string, limit: number): Promise<IRunSummary[]>;
  run(path: string, runId: string): Promise<IRun>;
  renameRun(path: string, runId: string, name: string): Promise<void>;
  deleteRun(path: string, runId: string): Promise<void>;
  restoreRun(path: string, runId: string): Promise<void>;
  /** What differs between two runs of a project. */
  compare(path: string, a: string, b: string): Promise<IComparison>;
  snapshots(path: string, query: ISnapshotQuery): Promise<ISnapshots>;
  /** One version, with a page of its columns. */
  snapshot(path: string, spec: string, page: IPage): Promise<ISnapshotDetails>;
  /** The runs that used a version. */
  snapshotRuns(path: string, spec: string): Promise<ISnapshotRuns>;
  /** What takes how much space on disk. */
  snapshotUsage(path: string): Promise<ISnapshotUsage>;
  /** What differs between two versions, with a page of rows; `key` names columns as `a,b`. */
  snapshotDiff(
    path: string,
    a: string,
    b: string,
    key: string,
    page: IPage
  ): Promise<ISnapshotDiff>;
  tagSnapshot(path: string, name: string, version: number, tag: string): Promise<ISnapshotChange>;
  untagSnapshot(path: string, name: string, tag: string): Promise<ISnapshotChange>;
  removeSnapshot(path: string, name: string, version: number): Promise<void>;
  restoreSnapshot(path: string, name: string, version: number): Promise<void>;
  pipelines(path: string): Promise<IPipelines>;
  /** Run a pipeline headless; a text is read by the parameter's type. */
  runPipeline(path: string, pipeline: string, parameters: Record<string, unknown>): Promise<IJob>;
  schedules(path: string): Promise<ISchedules>;
  deployments(path: string): Promise<IDeployment[]>;
  stopDeployment(path: string, id: string): Promise<void>;
  /** What a promotion would keep and write; nothing is executed. */
  plan(body: INewPlan): Promise<IPlan>;
  promote(body: INewPromotion): Promise<IJob>;
  job(id: string): Promise<IJob>;
  /** What is wrong with a notebook; without `cells` its file is read. */
  check(path: string, cells: ISentCell[] | null): Promise<IFinding[]>;
  /** Read runs and models from the tracking server again. */
  sync(path: string): Promise<void>;
}
