import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { runIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { promoteIcon } from '../icons';
import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import { shorten } from '../model/format';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import { finishJob } from '../model/promotion';
import type { IPipeline } from '../model/types';
import { useStore } from './hooks';
import { Awaited, Chip, Command, ErrorMessage, Failure, IconButton, Message } from './parts';
import { startPipeline } from './runform';

interface IPipelinesProps {
  mlops: MLops;
  trans: TranslationBundle;
}

/** The section "Pipelines": what was promoted, and a form to run it. */
export function Pipelines(props: IPipelinesProps): JSX.Element {
  const { project } = useStore(props.mlops);
  return (
    <div className="jp-mlops-pipelines">
      {project && <PipelinesOf key={project.key} {...props} project={project} />}
    </div>
  );
}

function PipelinesOf(props: IPipelinesProps & { project: ProjectData }): JSX.Element {
  const { mlops, project, trans } = props;
  const { data, error } = useStore(project.pipelines);
  const retry = () => void project.pipelines.retry();
  if (data === null) {
    return <Awaited error={error} rows={1} trans={trans} onRetry={retry} />;
  }
  if (data.pipelines.length === 0 && data.broken.length === 0) {
    return (
      <Message className="jp-mlops-empty" icon={promoteIcon} title={trans.__('No pipelines yet')}>
        <p>{trans.__('Promote a notebook with the button in its toolbar, or:')}</p>
        <Command text="jupyter mlops promote NOTEBOOK.ipynb" trans={trans} />
      </Message>
    );
  }
  return (
    <>
      {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
      <ul className="jp-mlops-list" aria-label={trans.__('Pipelines')}>
        {data.pipelines.map(pipeline => (
          <PipelineItem key={pipeline.name} {...{ mlops, project, pipeline, trans }} />
        ))}
        {data.broken.map(broken => (
          <li key={broken.path} className="jp-mlops-item">
            <div className="jp-mlops-item-line">
              <span className="jp-mlops-item-name" title={broken.path ?? undefined}>
                {broken.name}
              </span>
              <Chip kind="bad">{trans.__('not valid')}</Chip>
            </div>
            <p className="jp-mlops-item-error">{broken.error.message}</p>
          </li>
        ))}
      </ul>
    </>
  );
}

function PipelineItem(props: {
  mlops: MLops;
  project: ProjectData;
  pipeline: IPipeline;
  trans: TranslationBundle;
}): JSX.Element {
  const { mlops, project, pipeline, trans } = props;
  const [doing, setDoing] = React.useState<string | null>(null);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const run = async () => {
    setFailure(null);
    try {
      const job = await startPipeline(mlops.api, project.path, pipeline, trans);
      if (job !== null) {
        setDoing(job.message);
        const done = await finishJob(mlops.api, job, ms => mlops.jobChanged(ms), setDoing);
        Notification.success(shorten(done.message), { autoClose: 10000 });
        await Promise.all([project.runs.refresh(), project.models.refresh()]);
      }
    } catch (cause) {
      setFailure(asApiError(cause));
      await project.runs.refresh();
    } finally {
      setDoing(null);
    }
  };
  const count = pipeline.parameters.length;
  return (
    <li className="jp-mlops-item jp-mlops-pipeline" data-pipeline={pipeline.name}>
      <div className="jp-mlops-item-line">
        <span className="jp-mlops-item-name" title={pipeline.description || pipeline.name}>
          {pipeline.name}
        </span>
        {pipeline.model !== null && (
          <Chip kind="plain" title={trans.__('The registered model that it makes')}>
            {pipeline.model}
          </Chip>
        )}
        <span className="jp-mlops-pipeline-actions">
          <IconButton
            icon={runIcon}
            label={trans.__('Run %1…', pipeline.name)}
            className="jp-mlops-run-pipeline"
            disabled={doing !== null}
            onClick={() => void run()}
          />
        </span>
      </div>
      <div className="jp-mlops-item-line jp-mlops-muted" role="status">
        {doing ?? trans._n('%1 parameter', '%1 parameters', count)}
      </div>
      <Failure failure={failure} />
    </li>
  );
}
