/** Short names for the shapes of the REST API; times are epoch seconds, durations seconds. */
import type { components } from '../rest';

type Schemas = components['schemas'];

/** Body of every error answer. */
export type IErrorBody = Schemas['Error'];
export type IStatus = Schemas['Status'];
/** A project folder below the server's root. `path` is a contents path. */
export type IProject = Schemas['Projects']['projects'][number];
/** A registered model with its versions, newest first. */
export type IRegisteredModel = Schemas['Models']['models'][number];
export type IModelVersion = Schemas['ModelVersion'];
export type IAliasChange = Schemas['AliasChange'];
/** A run as it is listed. */
export type IRunSummary = Schemas['Run'];
/** A run with everything known of it and the model versions that were made from it. */
export type IRun = Schemas['RunDetail'];
export type ISchedules = Schemas['Schedules'];
/** The project's pipelines, and the folders of those whose files are not valid. */
export type IPipelines = Schemas['Pipelines'];
export type IPipeline = IPipelines['pipelines'][number];
export type IParameter = IPipeline['parameters'][number];
export type ISchedule = ISchedules['schedules'][number];
export type IDeployment = Schemas['Deployment'];
/** One version of a snapshot. */
export type ISnapshot = Schemas['Snapshot'];
/** Names of snapshots with their newest versions. */
export type ISnapshots = Schemas['Snapshots'];
export type ISnapshotName = ISnapshots['names'][number];
export type ISnapshotDetails = Schemas['SnapshotDetails'];
export type ISnapshotColumn = Schemas['SnapshotColumn'];
export type ISnapshotRuns = Schemas['SnapshotRuns'];
/** What takes how much space on disk, in bytes. */
export type ISnapshotUsage = Schemas['SnapshotUsage'];
/** What differs between two versions, with one page of rows. */
export type ISnapshotDiff = Schemas['SnapshotDiff'];
export type ISnapshotDiffPart = Schemas['SnapshotDiffPart'];
export type ISnapshotRow = Schemas['SnapshotRow'];
export type ISnapshotChange = Schemas['SnapshotChange'];
/** A long piece of work; `error` is set when `state` is `failed`. */
export type IJob = Schemas['Job']['job'];

/** One thing that is wrong with a notebook, and the cells that are sent to have it looked for. */
export type IFinding = Schemas['Finding'];
export type ISentCell = NonNullable<Schemas['NewCheck']['cells']>[number];

/** What a promotion would keep and write, and the bodies that ask for it. */
export type IPlan = Schemas['Plan'];
export type IPlanCell = IPlan['cells'][number];
export type IPlanStep = IPlan['steps'][number];
export type IPlanParameter = IPlan['parameters'][number];
export type IPlanFile = IPlan['files'][number];
export type INewPlan = Schemas['NewPlan'];
export type INewPromotion = Schemas['NewPromotion'];

/** A gate's verdict, in `fields.gates` of a refusal. */
export interface IGate {
  name: string;
  passed: boolean;
  message: string;
}

/** A model of a run: `kept` tells whether its bytes were stored, `reason` why not. */
export interface IRunModel {
  name: string;
  class_name: string;
  kept: boolean;
  reason: string | null;
  /** Of its bytes; `null` where the card does not say. */
  size: number | null;
}

/** Data of the event `https://jupyter-mlops.org/events/change/v1`. */
export interface IChange {
  kind: 'run' | 'model' | 'schedule' | 'deployment' | 'pipeline' | 'snapshot' | 'sync' | 'job';
  action: 'created' | 'updated' | 'removed';
  /** Of what changed; empty when it is not one thing. */
  id: string;
  project: string;
}
