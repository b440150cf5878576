import { Clipboard } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { checkIcon, copyIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { alertIcon, mlopsIcon } from '../icons';
import type { CardPhase, ICard } from '../model/card';
import { cardPhase, registrable } from '../model/card';
import { formatDuration, formatNumber, formatValue } from '../model/format';
import type { IRunState } from '../model/mlops';
import type { Resource } from '../model/resource';
import { useStore } from './hooks';
import { Chip, IconButton, TextButton } from './parts';

/** Values shown at once; the rest is behind a button. */
const SHOWN = 8;

/** What a card lets a person do. */
export interface ICardActions {
  /** Ask for a name and make a model version; rejects with an `ApiError`. */
  register(): Promise<void>;
  /** Show a version in the panel; `null` where there is no panel. */
  show: ((name: string, version: number) => void) | null;
}

interface ICardProps {
  card: ICard;
  run: Resource<IRunState>;
  actions: ICardActions;
  trans: TranslationBundle;
}

/** The run card below a tracked cell. */
export function RunCardView(props: ICardProps): JSX.Element {
  const { card, trans } = props;
  return (
    <section
      className={`jp-mlops-card jp-mlops-mod-${statusKind(card.status)}`}
      aria-label={trans.__('Run %1', card.name)}
      data-run={card.run_id}
    >
      <div className="jp-mlops-card-head">
        <mlopsIcon.react tag="span" className="jp-mlops-card-icon" height="16px" width="16px" />
        <span className="jp-mlops-card-name" title={card.run_id}>
          {card.name}
        </span>
        <span className={`jp-mlops-card-status jp-mlops-mod-${statusKind(card.status)}`}>
          {statusText(card, trans)}
        </span>
        {card.duration !== null && (
          <span className="jp-mlops-muted">{formatDuration(card.duration)}</span>
        )}
        {card.experiment && (
          <span className="jp-mlops-muted jp-mlops-card-experiment" title={trans.__('Experiment')}>
            {card.experiment}
          </span>
        )}
        <span className="jp-mlops-spacer" />
        {!card.dry_run && <Live {...props} />}
      </div>
      <Pairs label={trans.__('metrics')} values={card.metrics} trans={trans} strong />
      <Pairs label={trans.__('parameters')} values={card.params} trans={trans} />
      {card.models.map(model => (
        <div key={model.name} className="jp-mlops-card-line">
          <span className="jp-mlops-card-label">{trans.__('model')}</span>
          <span className="jp-mlops-card-text">
            <code>{model.name}</code> {model.class_name}
            {!model.kept && (
              <span className="jp-mlops-muted">
                {' '}
                {model.reason ? trans.__('not kept: %1', model.reason) : trans.__('not kept')}
              </span>
            )}
          </span>
        </div>
      ))}
      {card.error && (
        <div className="jp-mlops-card-line jp-mlops-card-error">
          <span className="jp-mlops-card-label">{trans.__('error')}</span>
          <span className="jp-mlops-card-text">
            {card.error.name}: {card.error.message}
          </span>
        </div>
      )}
      {card.warnings.map((warning, index) => (
        <div key={index} className="jp-mlops-card-line jp-mlops-card-warning">
          <alertIcon.react tag="span" height="14px" width="14px" />
          <span className="jp-mlops-card-text">{warning}</span>
        </div>
      ))}
      {card.first && card.project && !card.dry_run && (
        <div className="jp-mlops-card-line jp-mlops-muted">
          <span className="jp-mlops-card-label">{trans.__('project')}</span>
          <span className="jp-mlops-card-text">{card.project}</span>
        </div>
      )}
    </section>
  );
}

/** What the server knows by now, and the buttons that depend on it. */
function Live(props: ICardProps): JSX.Element {
  const { card, run, actions, trans } = props;
  const { data, error } = useStore(run);
  const [busy, setBusy] = React.useState(false);
  const [problem, setProblem] = React.useState<string | null>(null);
  const [copied, setCopied] = React.useState(false);
  React.useEffect(() => void run.refresh(), [run]);
  const missing = error?.reason === 'server_missing';
  const phase: CardPhase = cardPhase(data);
  const register = () => {
    setBusy(true);
    setProblem(null);
    actions
      .register()
      .catch(cause => setProblem(cause instanceof Error ? cause.message : String(cause)))
      .finally(() => setBusy(false));
  };
  const canRegister =
    registrable(card).length > 0 && phase.kind !== 'registered' && phase.kind !== 'unknown';
  const announced =
    phase.kind === 'waiting' && card.register !== null && registrable(card).length > 0;
  return (
    <span className="jp-mlops-card-live">
      {problem && (
        <span className="jp-mlops-card-problem" role="alert" title={problem}>
          {problem}
        </span>
      )}
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
            {announced
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
      {canRegister && !announced && (
        <TextButton
          className="jp-mlops-register"
          label={busy ? trans.__('Registering…') : trans.__('Register…')}
          title={
            missing
              ? trans.__('The server extension of jupyter_mlops is not running')
              : trans.__('Make a model version of this run')
          }
          disabled={busy || missing}
          onClick={register}
        />
      )}
      <IconButton
        icon={copied ? checkIcon : copyIcon}
        className="jp-mlops-copy-run"
        label={copied ? trans.__('Copied') : trans.__('Copy run id')}
        onClick={() => {
          Clipboard.copyToSystem(card.run_id);
          setCopied(true);
          setTimeout(() => setCopied(false), 1500);
        }}
      />
    </span>
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

function Pairs(props: {
  label: string;
  values: Record<string, unknown>;
  trans: TranslationBundle;
  strong?: boolean;
}): JSX.Element | null {
  const { trans } = props;
  const [all, setAll] = React.useState(false);
  const entries = Object.entries(props.values);
  if (entries.length === 0) {
    return null;
  }
  const shown = all ? entries : entries.slice(0, SHOWN);
  return (
    <div className="jp-mlops-card-line">
      <span className="jp-mlops-card-label">{props.label}</span>
      <span className="jp-mlops-card-pairs">
        {shown.map(([name, value]) => (
          <span key={name} className="jp-mlops-pair" title={`${name} = ${String(value)}`}>
            <span className="jp-mlops-pair-name">{name}</span>
            <span className={`jp-mlops-pair-value ${props.strong ? 'jp-mlops-mod-strong' : ''}`}>
              {typeof value === 'number' && props.strong ? formatNumber(value) : formatValue(value)}
            </span>
          </span>
        ))}
        {entries.length > SHOWN && (
          <button type="button" className="jp-mlops-more" onClick={() => setAll(!all)}>
            {all ? trans.__('fewer') : trans.__('%1 more', entries.length - SHOWN)}
          </button>
        )}
      </span>
    </div>
  );
}

function statusKind(status: string): 'good' | 'bad' | 'busy' {
  switch (status) {
    case 'FINISHED':
      return 'good';
    case 'RUNNING':
      return 'busy';
    default:
      return 'bad';
  }
}

function statusText(card: ICard, trans: TranslationBundle): string {
  if (card.dry_run) {
    return trans.__('dry run: nothing recorded');
  }
  switch (card.status) {
    case 'FINISHED':
      return trans.__('finished');
    case 'FAILED':
      return trans.__('failed');
    case 'KILLED':
      return trans.__('interrupted');
    case 'RUNNING':
      return trans.__('running');
    default:
      return card.status.toLowerCase();
  }
}
