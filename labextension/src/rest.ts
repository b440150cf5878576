/* The REST API as its OpenAPI document says it; written by `jlpm types`, not by hand. */

export type paths = Record<string, never>;
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    NewCheck: {
      /** @description Contents path of the notebook. */
      path: string;
      /** @description Its code cells as they are now; without them the file is read. */
      cells?: {
        /** @description Among all cells, from 0. */
        position: number;
        id: string;
        source: string;
        /** @description The execution count. */
        count: number | null;
      }[];
    };
    NewPipelineRun: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      pipeline: string;
      /** @description Values by name; a text is read by the parameter's type. */
      parameters?: Record<string, unknown>;
    };
    NewPlan: {
      /** @description Contents path of the notebook. */
      path: string;
      /** @description The pipeline's name; by default the notebook's. */
      name?: string;
      /** @description Which tracked run; by default the newest finished one. */
      run?: string;
      /** @description Variables instead of the run. */
      targets?: string[];
      /**
       * @description Where steps begin.
       * @enum {unknown}
       */
      steps?: 'auto' | 'one' | 'headings';
      /** @description What the person changed in the plan. */
      edits?: {
        /** @description By their name in the notebook. */
        parameters?: {
          [key: string]: {
            name?: string;
            /** @enum {unknown} */
            type?: 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';
            included?: boolean;
          };
        };
        /** @description Keep (true) or drop a cell, by the number of its execution. */
        cells?: {
          [key: string]: boolean;
        };
        /** @description All steps, each with its first cell. */
        steps?: {
          name: string;
          first: number;
        }[];
      };
      /** @description Leave out statements that only display. */
      drop_displays?: boolean;
    };
    NewPromotion: {
      /** @description Contents path of the notebook. */
      path: string;
      /** @description The pipeline's name; by default the notebook's. */
      name?: string;
      /** @description Which tracked run; by default the newest finished one. */
      run?: string;
      /** @description Variables instead of the run. */
      targets?: string[];
      /**
       * @description Where steps begin.
       * @enum {unknown}
       */
      steps?: 'auto' | 'one' | 'headings';
      /** @description What the person changed in the plan. */
      edits?: {
        /** @description By their name in the notebook. */
        parameters?: {
          [key: string]: {
            name?: string;
            /** @enum {unknown} */
            type?: 'string' | 'number' | 'integer' | 'boolean' | 'array' | 'object';
            included?: boolean;
          };
        };
        /** @description Keep (true) or drop a cell, by the number of its execution. */
        cells?: {
          [key: string]: boolean;
        };
        /** @description All steps, each with its first cell. */
        steps?: {
          name: string;
          first: number;
        }[];
      };
      /** @description Leave out statements that only display. */
      drop_displays?: boolean;
      /**
       * @description Replay on sources or on snapshots.
       * @enum {unknown}
       */
      data?: 'source' | 'pinned';
      /** @description Hand over as pickles what has no other format. */
      allow_pickle?: boolean;
      /** @description Replace a pipeline that was edited by hand. */
      force?: boolean;
    };
    SnapshotPlace: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      name: string;
      version: number;
    };
    SnapshotTag: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      name: string;
      version: number;
      tag: string;
    };
    Place: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
    };
    NewName: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      name: string;
    };
    NewNote: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      note: string;
    };
    NewVersion: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      /** @description A run id, a unique prefix of one, or MLflow's run id. */
      run_id: string;
      name: string;
      /** @description Which of the run's models, where it has several. */
      model?: string;
    };
    NewAlias: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      name: string;
      alias: string;
      version: number;
    };
    RevertAlias: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
      name: string;
      alias: string;
    };
    Error: {
      message: string;
      reason: string;
      hint: string | null;
      fields: Record<string, unknown>;
    };
    Problem: {
      message: string;
      hint: string | null;
    };
    Status: {
      version: string;
      project: {
        name: string;
        /** @description The root folder, for people to read. */
        root: string;
        /** @description A contents path that means it. */
        path: string;
        /** @description Whether it holds state already. */
        exists: boolean;
        /** @description Names the project in events. */
        key: string;
      } | null;
      /** @description Why there can be no project here, where ``project`` is null. */
      problem: components['schemas']['Problem'] | null;
      tracking: {
        uri: string;
        local: boolean;
        level: string;
        synced_at: number | null;
        error: components['schemas']['Problem'] | null;
      };
      /** @description Runs that have ended and are not delivered yet. */
      waiting: number;
      agent: {
        running: boolean;
        pid: number | null;
        enabled: boolean;
      };
    };
    Projects: {
      projects: {
        name: string;
        path: string;
        key: string;
      }[];
    };
    ModelVersion: {
      name: string;
      version: number;
      /** @description MLflow's address of the version. */
      uri: string;
      created: number;
      aliases: string[];
      run_id: string | null;
      mlflow_run_id: string | null;
      run_name: string | null;
      notebook: string | null;
      pipeline: string | null;
      class_name: string | null;
      status: string;
      source: string | null;
      metrics: {
        [key: string]: number | null;
      };
      key_metric: {
        name: string;
        value: number | null;
      } | null;
    };
    Models: {
      models: {
        name: string;
        description: string;
        updated: number;
        versions: components['schemas']['ModelVersion'][];
      }[];
    };
    Code: {
      code: string;
      /** @constant */
      language: 'python';
    };
    CreatedVersion: {
      version: components['schemas']['ModelVersion'];
    };
    AliasChange: {
      name: string;
      alias: string;
      version: number | null;
      previous: number | null;
      /** @description The command that takes it back. */
      undo: string | null;
    };
    Run: {
      run_id: string;
      mlflow_run_id: string | null;
      name: string;
      status: string;
      kind: string;
      started: number;
      ended: number | null;
      duration: number | null;
      delivered: boolean;
      session: string | null;
      experiment: string | null;
      notebook: string | null;
      pipeline: string | null;
      parent: string | null;
      params: Record<string, unknown>;
      metrics: {
        [key: string]: number | null;
      };
      models: Record<string, unknown>[];
      registered: string | null;
      warnings: string[];
      /** @description What a person wrote to it. */
      note: string | null;
    };
    RunDetail: {
      run_id: string;
      mlflow_run_id: string | null;
      name: string;
      status: string;
      kind: string;
      started: number;
      ended: number | null;
      duration: number | null;
      delivered: boolean;
      session: string | null;
      experiment: string | null;
      notebook: string | null;
      pipeline: string | null;
      parent: string | null;
      params: Record<string, unknown>;
      metrics: {
        [key: string]: number | null;
      };
      models: Record<string, unknown>[];
      registered: {
        name: string;
        version: number;
      }[];
      warnings: string[];
      /** @description What a person wrote to it. */
      note: string | null;
      details: components['schemas']['RunContent'];
    };
    RunContent: {
      /** @enum {unknown} */
      origin: 'journal' | 'artifact' | 'mlflow' | 'summary';
      /** @description Whether this is all that was captured. */
      complete: boolean;
      problem: string | null;
      source: string | null;
      cell_id: string | null;
      error: Record<string, unknown> | null;
      hyperparameters: Record<string, unknown>;
      series: {
        [key: string]: (number | null)[][];
      };
      inputs: {
        name: string;
        kind: string;
        digest: string | null;
        rows: number | null;
        columns: number | null;
        size: number;
        schema: {
          [key: string]: string;
        };
        source: string | null;
        how: string;
        reason: string | null;
        /** @description The version that keeps it: name@3. */
        snapshot: string | null;
        /** @description Bytes that this version was new on disk. */
        added: number;
      }[];
      files: {
        name: string;
        kind: string;
        size: number;
        kept: boolean;
        reason: string | null;
        /** @description Its text where the record holds it, cut to 20,000. */
        text: string | null;
      }[];
      environment: {
        digest: string;
        python: string;
        platform: string;
        packages: {
          [key: string]: string;
        };
        hardware: Record<string, unknown>;
      } | null;
      git: {
        commit: string | null;
        branch: string | null;
        dirty: boolean | null;
      };
      modules: {
        [key: string]: string;
      };
      seeds: Record<string, unknown>;
      resources: {
        [key: string]: number | null;
      };
      left_out: {
        [key: string]: string;
      };
      tags: {
        [key: string]: string;
      };
    };
    RunChange: {
      run_id: string;
      mlflow_run_id: string | null;
      name: string;
      note: string | null;
      /** @description The name or note that was replaced. */
      before: string | null;
      /** @description The command that takes it back. */
      undo: string;
    };
    Difference: {
      name: string;
      a: unknown;
      b: unknown;
      /**
       * @description Which run has it, if only one has.
       * @enum {unknown}
       */
      only: 'a' | 'b' | null;
    };
    Comparison: {
      a: {
        run_id: string;
        name: string;
        status: string;
        started: number;
        duration: number | null;
        notebook: string | null;
        origin: string;
      };
      b: {
        run_id: string;
        name: string;
        status: string;
        started: number;
        duration: number | null;
        notebook: string | null;
        origin: string;
      };
      metrics: {
        name: string;
        a: number | null;
        b: number | null;
        delta: number | null;
        relative: number | null;
        lower_is_better: boolean;
        /** @enum {unknown} */
        better: 'a' | 'b' | null;
      }[];
      params: components['schemas']['Difference'][];
      hyperparameters: components['schemas']['Difference'][];
      code: {
        /** @description A unified diff; empty if equal. */
        source: string;
        git: components['schemas']['Difference'][];
        modules: {
          name: string;
          /**
           * @description Which run has it, if only one has.
           * @enum {unknown}
           */
          only: 'a' | 'b' | null;
          diff: string | null;
        }[];
      };
      inputs: {
        name: string;
        /** @enum {unknown} */
        status: 'changed' | 'a' | 'b' | 'renamed';
        source: string | null;
        other: string | null;
        digest_a: string | null;
        digest_b: string | null;
        rows_a: number | null;
        rows_b: number | null;
        size_a: number | null;
        size_b: number | null;
        added: string[];
        removed: string[];
        retyped: {
          [key: string]: string[];
        };
      }[];
      same_inputs: string[];
      packages: components['schemas']['Difference'][];
      environment: components['schemas']['Difference'][];
      seeds: components['schemas']['Difference'][];
      models: components['schemas']['Difference'][];
      resources: components['schemas']['Difference'][];
      curves: {
        name: string;
        /** @description [step, value], in order of steps. */
        a: (number | null)[][];
        /** @description [step, value], in order of steps. */
        b: (number | null)[][];
      }[];
      /** @description What could not be compared, and why. */
      unknown: string[];
      /** @description Nothing a result depends on is known to differ. */
      same: boolean;
    };
    Explanation: {
      run: {
        run_id: string;
        name: string;
        status: string;
        started: number;
        duration: number | null;
        notebook: string | null;
        origin: string;
      };
      metric: string | null;
      value: number | null;
      best: {
        run_id: string;
        name: string;
        status: string;
        started: number;
        duration: number | null;
        notebook: string | null;
        origin: string;
      } | null;
      best_value: number | null;
      /** @enum {unknown} */
      group: 'cell' | 'name' | 'pipeline' | 'experiment';
      peers: number;
      verdict: string;
      reasons: {
        kind: string;
        sentence: string;
      }[];
      unknown: string[];
      comparison: components['schemas']['Comparison'] | null;
    };
    Snapshot: {
      name: string;
      version: number;
      /** @description NAME@VERSION. */
      spec: string;
      created: number;
      message: string | null;
      tags: string[];
      kind: string;
      rows: number | null;
      columns: number | null;
      /** @description As it lies in memory. */
      size: number;
      /** @description What was new on disk. */
      added: number;
      digest: string;
      automatic: boolean;
      /** @description The run that it was made for. */
      run: string | null;
    };
    Snapshots: {
      names: {
        name: string;
        /** @description Versions that match. */
        count: number;
        versions: components['schemas']['Snapshot'][];
      }[];
      /** @description Names that match. */
      total: number;
      /** @description Automatic versions that are left out. */
      hidden: number;
    };
    SnapshotVersions: {
      versions: components['schemas']['Snapshot'][];
      total: number;
    };
    SnapshotColumn: {
      name: string;
      type: string;
      missing: number | null;
      distinct: {
        count: number;
        exact: boolean;
      } | null;
      min: string | number | boolean | null;
      max: string | number | boolean | null;
      mean: string | number | boolean | null;
      std: string | number | boolean | null;
      /** @description By the part below: 0.5 is the median. */
      quantiles: {
        [key: string]: string | number | boolean | null;
      };
      top: {
        value: string | number | boolean | null;
        count: number;
      }[];
      /** @description How many rows the top values were counted in. */
      top_of: number | null;
      lengths: {
        unit: string;
        min: number;
        max: number;
        mean: number;
      } | null;
    };
    SnapshotDetails: {
      version: components['schemas']['Snapshot'];
      /** @description The version before it. */
      parent: string | null;
      index: string;
      columns: components['schemas']['SnapshotColumn'][];
      /** @description Columns in all. */
      total: number;
      chunks: number;
    };
    SnapshotRuns: {
      runs: {
        run_id: string;
        name: string;
        status: string;
        started: number | null;
        /** @description What it was called in the run. */
        input: string;
      }[];
      /** @description How many of the newest runs were looked at. */
      searched: number;
    };
    SnapshotRow: {
      /** @enum {unknown} */
      change: 'added' | 'removed' | 'changed';
      /** @description Its key, or its number. */
      label: string;
      a: number | null;
      b: number | null;
      cells: {
        column: string;
        a: string | null;
        b: string | null;
      }[];
      /** @description Cells that are left out. */
      more: number;
    };
    SnapshotDiffPart: {
      /** @description Of what lies inside; empty for the whole. */
      name: string;
      kind: string;
      summary: string;
      facts: string[];
      counts: {
        [key: string]: number;
      };
      schema: {
        what: string;
        a: string;
        b: string;
      }[];
      schema_total: number;
      statistics: {
        column: string;
        figure: string;
        a: string;
        b: string;
      }[];
      statistics_total: number;
      /** @description Rows (of an array: cells) that differ. */
      total: number;
      rows: components['schemas']['SnapshotRow'][];
      /** @description A unified diff. */
      lines: string;
      /** @description Whether there are more lines. */
      cut: boolean;
    };
    SnapshotDiff: {
      a: components['schemas']['Snapshot'];
      b: components['schemas']['Snapshot'];
      equal: boolean;
      offset: number;
      whole: components['schemas']['SnapshotDiffPart'];
      /** @description Of a dictionary, a list or a folder: what differs inside. */
      items: components['schemas']['SnapshotDiffPart'][];
      items_total: number;
    };
    SnapshotUsage: {
      /** @description What the store takes on disk. */
      total: number;
      /** @description What no version needs: gc frees it. */
      dead: number;
      unshared: number;
      /** @description What sharing has saved of ``unshared``. */
      saved: number;
      names: {
        name: string;
        versions: number;
        raw: number;
        stored: number;
        /** @description What no other name uses. */
        own: number;
        /** @description What its versions share. */
        saved: number;
        /** @description Versions taken for runs. */
        automatic: number;
      }[];
      unreadable: string[];
    };
    SnapshotChange: {
      version: components['schemas']['Snapshot'];
      /** @description The version that the tag named before. */
      before: number | null;
      /** @description The command that takes it back. */
      undo: string;
    };
    Check: {
      /** @description The session gone by; null where execution counts had to do. */
      session: string | null;
      findings: components['schemas']['Finding'][];
    };
    Finding: {
      rule: string;
      /** @enum {unknown} */
      severity: 'error' | 'warning' | 'note';
      /** @description Among all cells, from 0. */
      cell: number;
      cell_id: string | null;
      /** @description In the cell, from 1. */
      line: number;
      /** @description In the line, from 1. */
      column: number;
      message: string;
      reason: string;
      fix: string;
      names: string[];
      related: {
        cell: number | null;
        cell_id: string | null;
        count: number | null;
        what: string;
      }[];
    };
    Plan: {
      version: number;
      name: string;
      notebook: string;
      /** @enum {unknown} */
      basis: 'session' | 'document';
      run_id: string | null;
      targets: string[];
      /** @enum {unknown} */
      mode: 'auto' | 'one' | 'headings';
      cells: {
        /** @description The number of its execution in the session. */
        seq: number;
        name: string;
        cell_id: string | null;
        source: string;
        kept: boolean;
        reason: string;
        /** @enum {unknown} */
        state: 'as_is' | 'edited' | 'deleted' | 'failed' | 'private';
        step: string | null;
        seconds: number;
        changed_by_person: boolean;
      }[];
      parameters: {
        name: string;
        original: string;
        default: unknown;
        schema: Record<string, unknown>;
        rank: number;
        reason: string;
        seq: number;
        included: boolean;
      }[];
      steps: {
        name: string;
        cells: number[];
        reason: string;
        inputs: {
          [key: string]: string;
        };
        outputs: {
          variable: string;
          kind: string;
          format: string | null;
          file: string | null;
        }[];
        needs: string[];
      }[];
      files: {
        source: string;
        how: string;
        digest: string | null;
        parameter: string | null;
        snapshot: string | null;
        exact: boolean;
      }[];
      metrics: {
        [key: string]: number | null;
      };
      model: string | null;
      unseeded: string[];
      refused_cuts: string[];
      warnings: string[];
    };
    Runs: {
      runs: components['schemas']['Run'][];
    };
    Pipelines: {
      pipelines: {
        name: string;
        path: string | null;
        description: string;
        parameters: {
          name: string;
          default: unknown;
          schema: Record<string, unknown>;
          description: string;
        }[];
        /** @description The registered model it makes. */
        model: string | null;
      }[];
      /** @description Pipelines whose files are not valid. */
      broken: {
        name: string;
        path: string | null;
        error: components['schemas']['Problem'];
      }[];
    };
    Schedules: {
      schedules: {
        id: string;
        pipeline: string;
        cron: string;
        timezone: string;
        enabled: boolean;
        next_at: number | null;
        last: {
          slot: number;
          state: string;
          run_id: string | null;
          exit_code: number | null;
        } | null;
      }[];
      /** @description Schedules fire only while it runs. */
      agent_running: boolean;
    };
    Deployment: {
      id: string;
      model: string;
      selector: string;
      version: number;
      url: string | null;
      status: string;
      error: string | null;
      hint: string | null;
      warnings: string[];
      /** @description The version that the alias means by now, if it is another one. */
      behind: number | null;
      created: number;
      started: number | null;
    };
    Deployments: {
      deployments: components['schemas']['Deployment'][];
    };
    StoppedDeployment: {
      deployment: components['schemas']['Deployment'];
    };
    Job: {
      job: {
        id: string;
        /** @enum {unknown} */
        kind: 'promotion' | 'run';
        /** @enum {unknown} */
        state: 'running' | 'done' | 'failed';
        message: string;
        result: Record<string, unknown> | null;
        error: components['schemas']['Error'] | null;
      };
    };
    Refreshed: {
      ok: boolean;
      error: components['schemas']['Problem'] | null;
    };
    Document: Record<string, unknown>;
  };
  responses: never;
  parameters: never;
  requestBodies: never;
  headers: never;
  pathItems: never;
}
export type $defs = Record<string, never>;
export type operations = Record<string, never>;
