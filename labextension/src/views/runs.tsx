import { InputDialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { deleteIcon, editIcon, listIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { asApiError } from '../model/errors';
import { formatAge, formatNumber, shorten } from '../model/format';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import { SHOWN_RUNS, choose, keyMetric, pairOf } from '../model/runs';
import type { IRunSummary } from '../model/types';
import { showComparison } from './compare';
import { CompareBar } from './comparebar';
import { Confirm, useConfirming } from './confirming';
import { useNow, useStore } from './hooks';
import { Awaited, Chip, ErrorMessage, Failure, IconButton, Message } from './parts';
import { FirstCell } from './whole';

interface IRunsProps {
  mlops: MLops;
  trans: TranslationBundle;
  /** The run to bring into view; a new object asks again. */
  revealed: { run: string } | null;
}

/** The section "Runs": the newest, to compare, rename and delete. */
export function Runs(props: IRunsProps): JSX.Element {
  const { project } = useStore(props.mlops);
  return (
    <div className="jp-mlops-runs">
      {project && <RunsOf key={project.key} {...props} project={project} />}
    </div>
  );
}

function RunsOf(props: IRunsProps & { project: ProjectData }): JSX.Element {
  const { mlops, project, trans, revealed } = props;
  const { data, error } = useStore(project.runs);
  const now = useNow();
  const list = React.useRef<HTMLUListElement>(null);
  const [chosen, setChosen] = React.useState<string[]>([]);
  const there = revealed !== null && data?.some(run => run.run_id === revealed.run);
  React.useEffect(() => {
    if (revealed !== null && there) {
      const rows = [...(list.current?.querySelectorAll<HTMLElement>('[data-run]') ?? [])];
      const row = rows.find(item => item.dataset.run === revealed.run);
      row?.scrollIntoView({ block: 'nearest' });
      row?.querySelector('input')?.focus();
    }
  }, [revealed, there]);
  const retry = () => void project.runs.retry();
  if (data === null) {
    return <Awaited error={error} rows={2} trans={trans} onRetry={retry} />;
  }
  if (data.length === 0) {
    return (
      <Message className="jp-mlops-empty" icon={listIcon} title={trans.__('No runs yet')}>
        <FirstCell trans={trans} />
      </Message>
    );
  }
  const pair = pairOf(data, chosen);
  const compare = async (shown: () => void) => {
    if (pair !== null) {
      const [a, b] = pair;
      const found = await mlops.api.compare(project.path, a.run_id, b.run_id);
      shown();
      await showComparison(found, trans);
    }
  };
  return (
    <>
      {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
      <CompareBar
        className="jp-mlops-compare-chosen"
        pair={pair && trans.__('%1 and %2', shorten(pair[0].name, 24), shorten(pair[1].name, 24))}
        compare={compare}
        trans={trans}
      />
      <ul className="jp-mlops-list" aria-label={trans.__('Runs')} ref={list}>
        {data.map(run => (
          <RunItem
            key={run.run_id}
            run={run}
            mlops={mlops}
            project={project}
            now={now}
            chosen={chosen.includes(run.run_id)}
            onChoose={() => setChosen(choose(chosen, run.run_id))}
            revealed={revealed?.run === run.run_id}
            trans={trans}
          />
        ))}
      </ul>
      {data.length >= SHOWN_RUNS && (
        <p className="jp-mlops-item-note jp-mlops-item">
          {trans.__('The newest %1; the others: jupyter mlops runs ls', SHOWN_RUNS)}
        </p>
      )}
    </>
  );
}

function RunItem(props: {
  run: IRunSummary;
  mlops: MLops;
  project: ProjectData;
  now: number;
  chosen: boolean;
  onChoose: () => void;
  revealed: boolean;
  trans: TranslationBundle;
}): JSX.Element {
  const { run, mlops, project, trans } = props;
  const item = useConfirming();
  const metric = keyMetric(run.metrics);
  const where = run.notebook ?? run.pipeline ?? run.experiment ?? '';
  return (
    <li
      className={`jp-mlops-item jp-mlops-run ${props.revealed ? 'jp-mlops-mod-revealed' : ''}`}
      data-run={run.run_id}
      onKeyDown={item.onKeyDown}
    >
      <div className="jp-mlops-item-line">
        <label className="jp-mlops-run-choose">
          <input type="checkbox" checked={props.chosen} onChange={props.onChoose} />
          <span className="jp-mlops-item-name" title={run.run_id}>
            {run.name}
          </span>
        </label>
        {run.status !== 'FINISHED' && (
          <Chip kind={run.status === 'RUNNING' ? 'busy' : 'bad'}>{run.status.toLowerCase()}</Chip>
        )}
        {run.registered && <Chip kind="champion">{run.registered}</Chip>}
        <span className="jp-mlops-spacer" />
        {item.stage === 'confirm' ? (
          <Confirm
            className="jp-mlops-delete-confirm"
            label={trans.__('Delete it')}
            onConfirm={() => item.work(() => remove(mlops, project, run, trans))}
            onDrop={item.drop}
            trans={trans}
          />
        ) : (
          <span className="jp-mlops-run-actions">
            <IconButton
              icon={editIcon}
              className="jp-mlops-rename"
              label={trans.__('Rename %1…', run.name)}
              disabled={item.stage === 'busy'}
              onClick={() => item.work(() => rename(mlops, project, run, trans))}
            />
            <IconButton
              icon={deleteIcon}
              className="jp-mlops-delete"
              label={trans.__('Delete %1…', run.name)}
              disabled={item.stage === 'busy'}
              onClick={item.ask}
            />
          </span>
        )}
      </div>
      <div className="jp-mlops-item-line jp-mlops-muted">
        {metric !== null && (
          <span className="jp-mlops-item-detail">
            {metric} <strong>{formatNumber(run.metrics[metric])}</strong>
          </span>
        )}
        <span className="jp-mlops-item-detail" title={where}>
          {where}
        </span>
        <span className="jp-mlops-item-when">{formatAge(run.started, props.now, 'narrow')}</span>
      </div>
      {run.note && <div className="jp-mlops-item-note">{run.note}</div>}
      <Failure failure={item.failure} />
    </li>
  );
}

async function rename(
  mlops: MLops,
  project: ProjectData,
  run: IRunSummary,
  trans: TranslationBundle
): Promise<void> {
  const answer = await InputDialog.getText({
    title: trans.__('Rename the run'),
    label: trans.__('Name'),
    text: run.name,
    okLabel: trans.__('Rename')
  });
  const name = answer.value?.trim() ?? '';
  if (answer.button.accept && name !== '' && name !== run.name) {
    await mlops.api.renameRun(project.path, run.run_id, name);
    await project.runs.refresh();
  }
}

async function remove(
  mlops: MLops,
  project: ProjectData,
  run: IRunSummary,
  trans: TranslationBundle
): Promise<void> {
  await mlops.api.deleteRun(project.path, run.run_id);
  await project.runs.refresh();
  const id = Notification.success(shorten(trans.__('Deleted the run %1.', run.name)), {
    autoClose: 15000,
    actions: [
      {
        label: trans.__('Undo'),
        callback: () => {
          Notification.dismiss(id);
          mlops.api
            .restoreRun(project.path, run.run_id)
            .then(() => project.runs.refresh())
            .catch(cause => {
              const error = asApiError(cause);
              const text = trans.__('The run was not restored: %1', error.message);
              Notification.error(shorten(text), { autoClose: 10000 });
            });
        }
      }
    ]
  });
}
