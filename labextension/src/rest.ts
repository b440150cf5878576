/* The REST API as its OpenAPI document says it; written by `jlpm types`, not by hand. */

export interface paths {
  '/status': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** The project of a path, its tracking store and its agent */
    get: operations['get_status'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/projects': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** The projects below the server's root folder */
    get: operations['get_projects'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/models': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Registered models with their versions, newest first */
    get: operations['get_models'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/models/code': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Code that loads one model version */
    get: operations['get_models_code'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/models/versions': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Make a version of a registered model from a run's model */
    post: operations['post_models_versions'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/models/aliases': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    /** Point an alias at a version, if the gates agree */
    put: operations['put_models_aliases'];
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/models/aliases/revert': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Take the last move of an alias back */
    post: operations['post_models_aliases_revert'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Runs, newest first, those that wait for delivery included */
    get: operations['get_runs'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/runs/{run_id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** One run and the model versions made from it */
    get: operations['get_runs_by_run_id'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/pipelines': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** The project's pipelines */
    get: operations['get_pipelines'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/schedules': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** Schedules with their next and last firing */
    get: operations['get_schedules'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/deployments': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** What is deployed on this machine */
    get: operations['get_deployments'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/deployments/{deployment_id}/stop': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Stop a deployment */
    post: operations['post_deployments_by_deployment_id_stop'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/promotions': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Turn a notebook into a pipeline, proven by replay */
    post: operations['post_promotions'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/jobs/{job_id}': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** How a job is doing */
    get: operations['get_jobs_by_job_id'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/refresh': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    get?: never;
    put?: never;
    /** Deliver what waits and read the tracking store again */
    post: operations['post_refresh'];
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
  '/openapi.json': {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    /** This document */
    get: operations['get_openapi'];
    put?: never;
    post?: never;
    delete?: never;
    options?: never;
    head?: never;
    patch?: never;
    trace?: never;
  };
}
export type webhooks = Record<string, never>;
export interface components {
  schemas: {
    Place: {
      /** @description Contents path of the active notebook or folder: its project is meant. */
      path: string;
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
    NewPromotion: {
      /** @description Contents path of the notebook. */
      path: string;
      /** @description The pipeline's name; by default the notebook's. */
      name?: string;
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
        kind: 'promotion';
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
export interface operations {
  get_status: {
    parameters: {
      query?: {
        path?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Status'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_projects: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Projects'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_models: {
    parameters: {
      query?: {
        path?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Models'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_models_code: {
    parameters: {
      query: {
        path?: string;
        name: string;
        version: number;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Code'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  post_models_versions: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['NewVersion'];
      };
    };
    responses: {
      /** @description Created */
      201: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['CreatedVersion'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description It exists already, or a gate refused (fields.gates). */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description The agent or the tracking server did not answer. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  put_models_aliases: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['NewAlias'];
      };
    };
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['AliasChange'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description It exists already, or a gate refused (fields.gates). */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description The agent or the tracking server did not answer. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  post_models_aliases_revert: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['RevertAlias'];
      };
    };
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['AliasChange'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description It exists already, or a gate refused (fields.gates). */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description The agent or the tracking server did not answer. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_runs: {
    parameters: {
      query?: {
        path?: string;
        limit?: number;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Runs'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_runs_by_run_id: {
    parameters: {
      query?: {
        path?: string;
      };
      header?: never;
      path: {
        run_id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['RunDetail'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_pipelines: {
    parameters: {
      query?: {
        path?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Pipelines'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_schedules: {
    parameters: {
      query?: {
        path?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Schedules'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_deployments: {
    parameters: {
      query?: {
        path?: string;
      };
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Deployments'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  post_deployments_by_deployment_id_stop: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        deployment_id: string;
      };
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['Place'];
      };
    };
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['StoppedDeployment'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description It exists already, or a gate refused (fields.gates). */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  post_promotions: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['NewPromotion'];
      };
    };
    responses: {
      /** @description Accepted */
      202: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Job'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description It exists already, or a gate refused (fields.gates). */
      409: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_jobs_by_job_id: {
    parameters: {
      query?: never;
      header?: never;
      path: {
        job_id: string;
      };
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Job'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No such run, model version, deployment or job. */
      404: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  post_refresh: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody: {
      content: {
        'application/json': components['schemas']['Place'];
      };
    };
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Refreshed'];
        };
      };
      /** @description A path, query or body that is not valid, or that cannot be done as asked. */
      400: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description The agent or the tracking server did not answer. */
      503: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
  get_openapi: {
    parameters: {
      query?: never;
      header?: never;
      path?: never;
      cookie?: never;
    };
    requestBody?: never;
    responses: {
      /** @description OK */
      200: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Document'];
        };
      };
      /** @description No credentials, a foreign Host, no XSRF token, or not authorized. */
      403: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
      /** @description Any other failure: 403 or 507 where a folder cannot be written, 405, 413, 422 where a notebook failed, 500 and 501 for the server's own trouble. */
      default: {
        headers: {
          [name: string]: unknown;
        };
        content: {
          'application/json': components['schemas']['Error'];
        };
      };
    };
  };
}
