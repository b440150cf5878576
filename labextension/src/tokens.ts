import { Token } from '@lumino/coreutils';

import type { MLops } from './model/mlops';

/** The front end's model of the project in front; see `MLops`. */
export type IMLops = MLops;

export const IMLops = new Token<IMLops>(
  'jupyter-mlops:IMLops',
  'What the server knows of the active notebook’s project: models, runs, snapshots, schedules, deployments.'
);

/** Commands, each of which other extensions may call with the arguments it names. */
export const CommandIDs = {
  /** Show the panel; with `name` and `version`, or `run`, that model version or run in it. */
  show: 'jupyter-mlops:show',
  /** Insert code that loads a model version below the active cell (`name`, `version`). */
  insert: 'jupyter-mlops:insert-load-code',
  /** Copy MLflow's address of a model version (`name`, `version`). */
  copyUri: 'jupyter-mlops:copy-uri',
  /** Copy the command that deploys a model version (`name`, `version`). */
  copyDeploy: 'jupyter-mlops:copy-deploy-command',
  /** Ask for an alias and give it to a model version (`name`, `version`). */
  setAlias: 'jupyter-mlops:set-alias',
  /** Show what a version of data holds (`spec`: `name@3`; `path`: one in its project). */
  showSnapshot: 'jupyter-mlops:show-snapshot',
  /** Insert code that restores a version of data below the active cell (`spec`). */
  insertSnapshot: 'jupyter-mlops:insert-restore-code',
  /** Copy the `snapshot://` address of a version of data (`spec`). */
  copySnapshot: 'jupyter-mlops:copy-snapshot-address',
  /** Show what making the active notebook a pipeline would write (`name` to suggest). */
  promote: 'jupyter-mlops:promote'
} as const;
