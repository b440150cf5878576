import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { CardPhase, ICard } from '../model/card';
import { cardPhase, mlflowPage, registrable } from '../model/card';
import type { IRunState } from '../model/mlops';
import type { Resource } from '../model/resource';
import { useStore } from './hooks';
import { Chip, CopyButton, TextButton } from './parts';

/** What a card lets a person do; `null` where the front end, or the notebook, cannot. */
export interface ICardActions {
  /** Ask for a name and make a model version; rejects with an `ApiError`. */
  register(): Promise<void>;
  /** Show what differs from the run with this id; rejects with an `ApiError`. */
  compare(other: string): Promise<void>;
  /** Make the notebook a pipeline. */
  promote: (() => void) | null;
  /** Show a version in the panel, or the run. */
  show: ((name?: string, version?: number) => void) | null;
  /** Show the version of data that keeps an input (`name@3`). */
  snapshot: ((spec: string) => void) | null;
}

interface IProps {
  card: ICard;
  run: Resource<IRunState>;
  actions: ICardActions;
  trans: TranslationBundle;
}

/** The run's way to the tracking store, and the versions made from it. */
export function CardPhaseView(props: IProps): JSX.Element {
  const { card, run, actions, trans } = props;
  const phase: CardPhase = cardPhase(useStore(run).data);
  return (
    <span className="jp-mlops-card-live">
      <span className="jp-mlops-card-phase" role="status">
        {phase.kind === 'registered' &&
          phase.versions.map(({ name, version }) => (
            <VersionChip
              key={`${name}@${version}`}
              name={name}
              version={version}
              show={actions.show}
              trans={trans}
            />
          ))}
        {phase.kind === 'waiting' && (
          <span
            className="jp-mlops-muted"
            title={trans.__('The run is safe in the journal and goes to the tracking store next.')}
          >
            {isAnnounced(card, phase)
              ? trans.__('registering %1…', card.register)
              : trans.__('waiting for delivery')}
          </span>
        )}
        {phase.kind === 'unknown' && (
          <span
            className="jp-mlops-muted"
            title={trans.__('The notebook’s project has no such run: it was made elsewhere.')}
          >
            {trans.__('not in this project')}
          </span>
        )}
        {phase.kind === 'delivered' && <span className="jp-mlops-muted">{trans.__('stored')}</span>}
      </span>
      <CopyButton
        text={card.run_id}
        label={trans.__('Copy run id')}
        className="jp-mlops-copy-run"
        trans={trans}
      />
    </span>
  );
}

/** The buttons and links below a card. */
export function CardActions(props: IProps): JSX.Element {
  const { card, run, actions, trans } = props;
  const { data, error } = useStore(run);
  const [busy, setBusy] = React.useState<'register' | 'compare' | null>(null);
  const [problem, setProblem] = React.useState<string | null>(null);
  const missing = error?.reason === 'server_missing';
  const phase = cardPhase(data);
  const other = card.baseline?.run_id ?? null;
  const act = (what: 'register' | 'compare', work: () => Promise<void>) => () => {
    setBusy(what);
    setProblem(null);
    work()
      .catch(cause => setProblem(cause instanceof Error ? cause.message : String(cause)))
      .finally(() => setBusy(null));
  };
  const canRegister =
    registrable(card).length > 0 && phase.kind !== 'registered' && phase.kind !== 'unknown';
  const noServer = trans.__('The server extension of jupyter_mlops is not running');
  return (
    <span className="jp-mlops-card-actions">
      {problem && (
        <span className="jp-mlops-card-problem" role="alert" title={problem}>
          {problem}
        </span>
      )}
      {other !== null && phase.kind !== 'unknown' && (
        <TextButton
          className="jp-mlops-compare-runs-button"
          label={busy === 'compare' ? trans.__('Comparing…') : trans.__('Compare')}
          title={missing ? noServer : trans.__('What differs from %1', card.baseline!.label)}
          disabled={busy !== null || missing}
          onClick={act('compare', () => actions.compare(other))}
        />
      )}
      {canRegister && !isAnnounced(card, phase) && (
        <TextButton
          className="jp-mlops-register"
          label={busy === 'register' ? trans.__('Registering…') : trans.__('Register…')}
          title={missing ? noServer : trans.__('Make a model version of this run')}
          disabled={busy !== null || missing}
          onClick={act('register', () => actions.register())}
        />
      )}
      {actions.promote !== null && card.status === 'FINISHED' && (
        <TextButton
          className="jp-mlops-promote"
          label={trans.__('Promote…')}
          title={missing ? noServer : trans.__('Make this notebook a pipeline, proven by a replay')}
          disabled={missing}
          onClick={actions.promote}
        />
      )}
      <Links {...props} phase={phase} mlflowRun={data?.run?.mlflow_run_id ?? null} />
    </span>
  );
}

function Links(props: IProps & { phase: CardPhase; mlflowRun: string | null }): JSX.Element {
  const { card, actions, phase, trans } = props;
  const { show } = actions;
  const made = phase.kind === 'registered' ? phase.versions[0] : undefined;
  const uri = card.mlflow?.uri ?? null;
  const command = card.mlflow?.command ?? null;
  const id = props.mlflowRun ?? card.mlflow?.run ?? null;
  return (
    <>
      {show !== null && phase.kind !== 'unknown' && (
        <button
          type="button"
          className="jp-mlops-more jp-mlops-show-panel"
          title={trans.__('Show it in the MLOps panel')}
          onClick={() => show(made?.name, made?.version)}
        >
          {trans.__('Panel')}
        </button>
      )}
      {uri !== null && (
        <a
          className="jp-mlops-more jp-mlops-open-mlflow"
          href={id === null ? uri : mlflowPage(uri, id)}
          target="_blank"
          rel="noopener noreferrer"
          title={trans.__('Open in MLflow: %1', uri)}
        >
          MLflow
        </a>
      )}
      {uri === null && command !== null && <MlflowCommand command={command} trans={trans} />}
    </>
  );
}

/** The project's own store has no server: the command that starts one, to take along. */
function MlflowCommand(props: { command: string; trans: TranslationBundle }): JSX.Element {
  const { command, trans } = props;
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => {
    if (!copied) {
      return undefined;
    }
    const timer = setTimeout(() => setCopied(false), 2500);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <button
      type="button"
      className="jp-mlops-more jp-mlops-open-mlflow"
      title={trans.__('Copy the command that opens the runs in MLflow:\n%1', command)}
      aria-live="polite"
      onClick={() => {
        Clipboard.copyToSystem(command);
        setCopied(true);
      }}
    >
      {copied ? trans.__('Command copied') : 'MLflow'}
    </button>
  );
}

function VersionChip(props: {
  name: string;
  version: number;
  show: ICardActions['show'];
  trans: TranslationBundle;
}): JSX.Element {
  const { name, version, show, trans } = props;
  const label = `${name} v${version}`;
  if (show === null) {
    return (
      <Chip kind="champion">
        <span className="jp-mlops-registered">{label}</span>
      </Chip>
    );
  }
  return (
    <TextButton
      className="jp-mlops-registered"
      label={label}
      title={trans.__('Show in the panel')}
      onClick={() => show(name, version)}
    />
  );
}

/** Whether the cell itself said that the run becomes a version, which has not happened yet. */
function isAnnounced(card: ICard, phase: CardPhase): boolean {
  return phase.kind === 'waiting' && card.register !== null && registrable(card).length > 0;
}
