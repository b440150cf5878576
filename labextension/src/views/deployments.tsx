import type { TranslationBundle } from '@jupyterlab/translation';
import { launchIcon, stopIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatAge } from '../model/format';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import type { IDeployment } from '../model/types';
import { Confirm, useConfirming } from './confirming';
import { useNow, useStore } from './hooks';
import {
  Awaited,
  Chip,
  Command,
  CopyButton,
  ErrorMessage,
  Failure,
  IconButton,
  Message
} from './parts';

interface IDeploymentsProps {
  mlops: MLops;
  trans: TranslationBundle;
}

/** The section "Deployments": what is served, where, and how to stop it. */
export function Deployments(props: IDeploymentsProps): JSX.Element {
  const { project } = useStore(props.mlops);
  return (
    <div className="jp-mlops-deployments">
      {project && <DeploymentsOf key={project.key} {...props} project={project} />}
    </div>
  );
}

function DeploymentsOf(props: IDeploymentsProps & { project: ProjectData }): JSX.Element {
  const { mlops, project, trans } = props;
  const { data, error } = useStore(project.deployments);
  const models = useStore(project.models).data;
  const now = useNow();
  const retry = () => void project.deployments.retry();
  if (data === null) {
    return <Awaited error={error} rows={1} trans={trans} onRetry={retry} />;
  }
  if (data.length === 0) {
    const name = models?.[0]?.name ?? 'NAME';
    const champion = models?.[0]?.versions.find(v => v.aliases.includes('champion'));
    const selector = champion ? 'champion' : (models?.[0]?.versions[0]?.version ?? 'champion');
    return (
      <Message className="jp-mlops-empty" icon={launchIcon} title={trans.__('Nothing is deployed')}>
        <p>{trans.__('Serve a model version on this machine:')}</p>
        <Command text={`jupyter mlops deploy ${shellName(name)}@${selector}`} trans={trans} />
      </Message>
    );
  }
  return (
    <>
      {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
      <ul className="jp-mlops-list" aria-label={trans.__('Deployments')}>
        {data.map(deployment => (
          <DeploymentItem
            key={deployment.id}
            deployment={deployment}
            now={now}
            trans={trans}
            stop={async () => {
              await mlops.api.stopDeployment(project.path, deployment.id);
              await project.deployments.refresh();
            }}
          />
        ))}
      </ul>
    </>
  );
}

function DeploymentItem(props: {
  deployment: IDeployment;
  now: number;
  trans: TranslationBundle;
  stop: () => Promise<void>;
}): JSX.Element {
  const { deployment, trans } = props;
  const item = useConfirming();
  const running = deployment.status !== 'stopped';
  const label = `${deployment.model}@${deployment.selector}`;
  return (
    <li
      className="jp-mlops-item jp-mlops-deployment"
      data-deployment={deployment.id}
      onKeyDown={item.onKeyDown}
    >
      <div className="jp-mlops-item-line">
        <span className="jp-mlops-item-name" title={label}>
          {label}
        </span>
        <span className="jp-mlops-muted">v{deployment.version}</span>
        {running && deployment.behind !== null && (
          <Chip
            kind="busy"
            title={trans.__(
              '%1 is v%2 by now. Deploy it again to serve that version.',
              deployment.selector,
              deployment.behind
            )}
          >
            {trans.__('%1 is v%2', deployment.selector, deployment.behind)}
          </Chip>
        )}
        <Chip kind={kindOf(deployment.status)} title={deployment.error ?? undefined}>
          {deployment.status}
        </Chip>
        <span className="jp-mlops-spacer" />
        {running &&
          (item.stage === 'confirm' ? (
            <Confirm
              className="jp-mlops-stop-confirm"
              label={trans.__('Stop it')}
              onConfirm={() => item.work(props.stop)}
              onDrop={item.drop}
              trans={trans}
            />
          ) : (
            <IconButton
              icon={stopIcon}
              className="jp-mlops-stop"
              label={trans.__('Stop %1…', label)}
              disabled={item.stage === 'busy'}
              onClick={item.ask}
            />
          ))}
      </div>
      <div className="jp-mlops-item-line jp-mlops-muted">
        {running && deployment.url ? (
          <>
            <code className="jp-mlops-item-detail" title={deployment.url}>
              {deployment.url}
            </code>
            <CopyButton text={deployment.url} label={trans.__('Copy the address')} trans={trans} />
          </>
        ) : (
          <span className="jp-mlops-item-detail">
            {running ? trans.__('no address yet') : trans.__('not served any more')}
          </span>
        )}
        {deployment.started !== null && (
          <span className="jp-mlops-item-when">
            {formatAge(deployment.started, props.now, 'narrow')}
          </span>
        )}
      </div>
      {deployment.error && (
        <div className="jp-mlops-item-error">
          {deployment.error} {deployment.hint}
        </div>
      )}
      {deployment.warnings.map(warning => (
        <div key={warning} className="jp-mlops-item-note">
          {warning}
        </div>
      ))}
      <Failure failure={item.failure} />
    </li>
  );
}

function kindOf(status: string): 'good' | 'bad' | 'busy' | 'plain' {
  switch (status) {
    case 'running':
      return 'good';
    case 'failed':
      return 'bad';
    case 'stopped':
      return 'plain';
    default:
      return 'busy';
  }
}

/** A model's name as a shell takes it. */
export function shellName(name: string): string {
  return /^[\w.+-]+$/.test(name) ? name : `'${name.replace(/'/g, "'\\''")}'`;
}
