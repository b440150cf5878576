import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { alertIcon, mlopsIcon } from '../icons';
import type { ICard, IDelta } from '../model/card';
import { shownParams } from '../model/card';
import {
  formatChange,
  formatDuration,
  formatNumber,
  formatSize,
  formatValue
} from '../model/format';
import type { IRunState } from '../model/mlops';
import type { Resource } from '../model/resource';
import type { ICardActions } from './cardactions';
import { CardActions, CardPhaseView } from './cardactions';
import { CardDetails } from './carddetails';
import { useStore } from './hooks';
import { Sparkline } from './lines';

/** Values shown at once; the rest is behind a button. */
const SHOWN = 8;
/** Models and warnings shown at once. */
const LINES = 3;

interface ICardProps {
  card: ICard;
  run: Resource<IRunState>;
  actions: ICardActions;
  trans: TranslationBundle;
}

/** The run card below a tracked cell. */
export function RunCardView(props: ICardProps): JSX.Element {
  const { card, run, trans } = props;
  const status = useStatus(card, run);
  return (
    <section
      className={`jp-mlops-card jp-mlops-mod-${statusKind(status)}`}
      aria-label={trans.__('Run %1', card.name)}
      data-run={card.run_id}
    >
      <div className="jp-mlops-card-head">
        <mlopsIcon.react tag="span" className="jp-mlops-card-icon" height="16px" width="16px" />
        <span className="jp-mlops-card-name" title={card.run_id}>
          {card.name}
        </span>
        <span className={`jp-mlops-card-status jp-mlops-mod-${statusKind(status)}`}>
          {statusText(card, status, trans)}
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
        {!card.dry_run && !card.live && <CardPhaseView {...props} />}
      </div>
      <Metrics card={card} trans={trans} />
      <Params card={card} trans={trans} />
      <Models card={card} trans={trans} />
      {card.error && (
        <div className="jp-mlops-card-line jp-mlops-card-error">
          <span className="jp-mlops-card-label">{trans.__('error')}</span>
          <span className="jp-mlops-card-text">
            {card.error.name}: {card.error.message}
          </span>
        </div>
      )}
      <Warnings card={card} trans={trans} />
      {card.first && card.project && !card.dry_run && (
        <div className="jp-mlops-card-line jp-mlops-muted">
          <span className="jp-mlops-card-label">{trans.__('project')}</span>
          <span className="jp-mlops-card-text">{card.project}</span>
        </div>
      )}
      <CardDetails card={card} onSnapshot={props.actions.snapshot} trans={trans}>
        {!card.dry_run && !card.live && <CardActions {...props} />}
      </CardDetails>
    </section>
  );
}

/**
 * How the run is doing. A card whose cell was still running when it was drawn may be all that is
 * left of a killed kernel: the server knows.
 */
function useStatus(card: ICard, run: Resource<IRunState>): string {
  const { data } = useStore(run);
  React.useEffect(() => {
    if (!card.dry_run) {
      void run.refresh();
    }
  }, [run, card.dry_run, card.live]);
  return card.live ? (data?.run?.status ?? card.status) : card.status;
}

function Metrics(props: { card: ICard; trans: TranslationBundle }): JSX.Element | null {
  const { card, trans } = props;
  const { baseline, deltas, series } = card;
  const compared = baseline !== null && Object.keys(card.metrics).some(name => name in deltas);
  return (
    <Pairs
      label={trans.__('metrics')}
      names={Object.keys(card.metrics)}
      cut={card.cut.metrics}
      trans={trans}
      after={
        compared && (
          <span className="jp-mlops-muted jp-mlops-baseline" title={baseline.run_id ?? ''}>
            {trans.__('against %1', baseline.label)}
          </span>
        )
      }
      render={name => {
        const value = card.metrics[name];
        const course = series[name];
        return (
          <>
            <span
              className="jp-mlops-pair-value jp-mlops-mod-strong"
              title={`${name} = ${String(value)}`}
            >
              {typeof value === 'number' ? formatNumber(value) : formatValue(value)}
            </span>
            {deltas[name] && <Delta delta={deltas[name]} trans={trans} />}
            {course && <Sparkline name={name} course={course} trans={trans} />}
          </>
        );
      }}
    />
  );
}

/** A change: the arrow says which way, colour and tooltip whether that is good. */
function Delta(props: { delta: IDelta; trans: TranslationBundle }): JSX.Element {
  const { delta, trans } = props;
  const before =
    typeof delta.before === 'number' ? formatNumber(delta.before) : String(delta.before);
  const change = formatChange(delta.change);
  if (delta.better === null) {
    return (
      <span className="jp-mlops-delta" title={trans.__('it was %1', before)}>
        {change}
      </span>
    );
  }
  const words = delta.better
    ? trans.__('better; it was %1', before)
    : trans.__('worse; it was %1', before);
  return (
    <span
      className={`jp-mlops-delta jp-mlops-mod-${delta.better ? 'better' : 'worse'}`}
      title={words}
      role="img"
      aria-label={`${change}, ${words}`}
    >
      {delta.change > 0 ? '▲' : '▼'} {change}
    </span>
  );
}

function Params(props: { card: ICard; trans: TranslationBundle }): JSX.Element | null {
  const { card, trans } = props;
  const values = shownParams(card);
  return (
    <Pairs
      label={trans.__('parameters')}
      names={Object.keys(values)}
      cut={card.cut.params}
      trans={trans}
      render={name => (
        <>
          <span className="jp-mlops-pair-value" title={`${name} = ${String(values[name])}`}>
            {formatValue(values[name])}
          </span>
          {name in card.changed && (
            <span className="jp-mlops-muted">
              {trans.__('(was %1)', formatValue(card.changed[name], 30))}
            </span>
          )}
        </>
      )}
    />
  );
}

function Models(props: { card: ICard; trans: TranslationBundle }): JSX.Element {
  const { card, trans } = props;
  const [all, setAll] = React.useState(false);
  const rest = card.models.length - LINES;
  return (
    <>
      {(all ? card.models : card.models.slice(0, LINES)).map((model, index) => (
        <div key={`${index} ${model.name}`} className="jp-mlops-card-line">
          <span className="jp-mlops-card-label">{trans.__('model')}</span>
          <span className="jp-mlops-card-text">
            <code>{model.name}</code> {model.class_name}
            {model.kept && model.size ? (
              <span className="jp-mlops-muted"> {formatSize(model.size)}</span>
            ) : null}
            {!model.kept && (
              <span className="jp-mlops-muted">
                {' '}
                {model.reason ? trans.__('not kept: %1', model.reason) : trans.__('not kept')}
              </span>
            )}
          </span>
        </div>
      ))}
      {rest > 0 && (
        <div className="jp-mlops-card-line">
          <span className="jp-mlops-card-label" />
          <More all={all} rest={rest} toggle={() => setAll(!all)} trans={trans} />
        </div>
      )}
    </>
  );
}

function Warnings(props: { card: ICard; trans: TranslationBundle }): JSX.Element {
  const { card, trans } = props;
  const [all, setAll] = React.useState(false);
  const rest = card.warnings.length - LINES;
  return (
    <>
      {(all ? card.warnings : card.warnings.slice(0, LINES)).map((warning, index) => (
        <div key={index} className="jp-mlops-card-line jp-mlops-card-warning">
          <alertIcon.react tag="span" height="14px" width="14px" />
          <span className="jp-mlops-card-text">{warning}</span>
        </div>
      ))}
      {rest > 0 && <More all={all} rest={rest} toggle={() => setAll(!all)} trans={trans} />}
    </>
  );
}

function More(props: {
  all: boolean;
  rest: number;
  toggle: () => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { all, rest, toggle, trans } = props;
  return (
    <button type="button" className="jp-mlops-more" aria-expanded={all} onClick={toggle}>
      {all ? trans.__('fewer') : trans.__('%1 more', rest)}
    </button>
  );
}

/** Names with what is known of each, on as many lines as they need. */
function Pairs(props: {
  label: string;
  names: string[];
  /** How many the card does not hold. */
  cut?: number;
  render: (name: string) => React.ReactNode;
  after?: React.ReactNode;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { names, render, trans } = props;
  const [all, setAll] = React.useState(false);
  if (names.length === 0) {
    return null;
  }
  return (
    <div className="jp-mlops-card-line">
      <span className="jp-mlops-card-label">{props.label}</span>
      <span className="jp-mlops-card-pairs">
        {(all ? names : names.slice(0, SHOWN)).map(name => (
          <span key={name} className="jp-mlops-pair">
            <span className="jp-mlops-pair-name" title={name}>
              {name}
            </span>
            {render(name)}
          </span>
        ))}
        {names.length > SHOWN && (
          <More all={all} rest={names.length - SHOWN} toggle={() => setAll(!all)} trans={trans} />
        )}
        {props.cut && (
          <span className="jp-mlops-muted">
            {trans.__('and %1 that the card does not hold', props.cut)}
          </span>
        )}
        {props.after}
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

function statusText(card: ICard, status: string, trans: TranslationBundle): string {
  if (card.dry_run) {
    return trans.__('dry run: nothing recorded');
  }
  switch (status) {
    case 'FINISHED':
      return trans.__('finished');
    case 'FAILED':
      return trans.__('failed');
    case 'KILLED':
      return trans.__('interrupted');
    case 'RUNNING':
      return trans.__('running');
    default:
      return status.toLowerCase();
  }
}
