import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ICard, IInput, IKeptFile } from '../model/card';
import { formatMeasure, formatSize, formatValue } from '../model/format';

/** What a run holds: one line that counts it, and the whole behind a button. */
export function CardDetails(props: {
  card: ICard;
  trans: TranslationBundle;
  /** Shows the version of data that keeps an input. */
  onSnapshot: ((spec: string) => void) | null;
  /** What stands at the end of the line. */
  children: React.ReactNode;
}): JSX.Element | null {
  const { card, trans } = props;
  const [open, setOpen] = React.useState(false);
  const id = React.useId();
  const facts = summarize(card, trans);
  if (facts.length === 0 && !props.children) {
    return null;
  }
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <>
      <div className="jp-mlops-card-foot">
        {facts.length > 0 && (
          <button
            type="button"
            className="jp-mlops-card-fold"
            aria-expanded={open}
            aria-controls={id}
            onClick={() => setOpen(!open)}
          >
            <Caret.react tag="span" height="16px" width="16px" />
            <span>{facts.join(' · ')}</span>
          </button>
        )}
        <span className="jp-mlops-spacer" />
        {props.children}
      </div>
      {open && (
        <div id={id} className="jp-mlops-card-details">
          <Whole card={card} onSnapshot={props.onSnapshot} trans={trans} />
        </div>
      )}
    </>
  );
}

function summarize(card: ICard, trans: TranslationBundle): string[] {
  const { cut } = card;
  const facts: string[] = [];
  const inputs = card.inputs.length + (cut.inputs ?? 0);
  if (inputs > 0) {
    facts.push(trans._n('%1 input', '%1 inputs', inputs));
  }
  const tuned = Object.keys(card.hyperparameters).length + (cut.hyperparameters ?? 0);
  if (tuned > 0) {
    facts.push(trans._n('%1 hyperparameter', '%1 hyperparameters', tuned));
  }
  const kinds = (kind: string) => card.files.filter(item => item.kept && item.kind === kind).length;
  if (kinds('figure') > 0) {
    facts.push(trans._n('%1 figure', '%1 figures', kinds('figure')));
  }
  if (kinds('table') > 0) {
    facts.push(trans._n('%1 table', '%1 tables', kinds('table')));
  }
  if (kinds('output') > 0) {
    facts.push(trans.__('output'));
  }
  if (kinds('traceback') > 0) {
    facts.push(trans.__('traceback'));
  }
  if (card.bytes_kept) {
    facts.push(trans.__('%1 kept', formatSize(card.bytes_kept)));
  }
  if (card.git) {
    const { branch, commit, dirty } = card.git;
    facts.push(`${branch ?? ''} ${commit.slice(0, 7)}${dirty ? '*' : ''}`.trim());
  }
  if (card.environment) {
    facts.push(trans.__('Python %1', card.environment.python));
  }
  if (card.redacted > 0) {
    facts.push(trans.__('%1 redacted', card.redacted));
  }
  const leftOut = Object.keys(card.left_out).length + (cut.left_out ?? 0);
  if (leftOut > 0) {
    facts.push(trans.__('%1 left out', leftOut));
  }
  return facts;
}

function Whole(props: {
  card: ICard;
  onSnapshot: ((spec: string) => void) | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { card, trans } = props;
  const { environment, git, cut } = card;
  return (
    <>
      {card.inputs.map((item, index) => (
        <Line key={index} label={trans.__('input')}>
          <Input item={item} onSnapshot={props.onSnapshot} trans={trans} />
        </Line>
      ))}
      <Cut count={cut.inputs} trans={trans} />
      <Values
        label={trans.__('hyperparameters')}
        values={card.hyperparameters}
        first={card.changed}
      />
      <Cut count={cut.hyperparameters} trans={trans} />
      {card.files.map((item, index) => (
        <Line key={index} label={fileKind(item, trans)}>
          <code>{item.name}</code> {item.size !== null && formatSize(item.size)}{' '}
          {item.reason && <span className="jp-mlops-muted">{item.reason}</span>}
        </Line>
      ))}
      <Cut count={cut.files} trans={trans} />
      <Values label={trans.__('seeds')} values={card.seeds} />
      {environment && (
        <Line label={trans.__('environment')}>
          {[
            trans.__('Python %1', environment.python),
            environment.packages === null
              ? null
              : trans._n('%1 package', '%1 packages', environment.packages),
            environment.platform,
            card.modules > 0
              ? trans._n('%1 module of the project', '%1 modules of the project', card.modules)
              : null
          ]
            .filter(Boolean)
            .join(', ')}
        </Line>
      )}
      {git && (
        <Line label={trans.__('git')}>
          {git.branch} <code>{git.commit}</code>
          {git.dirty && <>, {trans.__('with changes that are not committed')}</>}
        </Line>
      )}
      {Object.keys(card.resources).length > 0 && (
        <Line label={trans.__('resources')}>
          {Object.entries(card.resources)
            .map(([name, value]) => formatMeasure(name, value).join(' '))
            .join(', ')}
        </Line>
      )}
      {Object.entries(card.left_out).map(([what, why]) => (
        <Line key={what} label={trans.__('left out')}>
          {what}: {why}
        </Line>
      ))}
      {card.mlflow?.command && (
        <Line label="MLflow">
          <code>{card.mlflow.command}</code>
        </Line>
      )}
    </>
  );
}

function Line(props: { label: string; children: React.ReactNode }): JSX.Element {
  return (
    <div className="jp-mlops-card-line">
      <span className="jp-mlops-card-label">{props.label}</span>
      <span className="jp-mlops-card-text">{props.children}</span>
    </div>
  );
}

function Values(props: {
  label: string;
  values: Record<string, unknown>;
  /** Names that come first: a notebook file sorts all names by the alphabet. */
  first?: Record<string, unknown>;
}): JSX.Element | null {
  const { first = {} } = props;
  const all = Object.entries(props.values);
  const entries = [
    ...all.filter(([name]) => name in first),
    ...all.filter(([name]) => !(name in first))
  ];
  if (entries.length === 0) {
    return null;
  }
  return (
    <div className="jp-mlops-card-line">
      <span className="jp-mlops-card-label">{props.label}</span>
      <span className="jp-mlops-card-pairs">
        {entries.map(([name, value]) => (
          <span key={name} className="jp-mlops-pair" title={`${name} = ${String(value)}`}>
            <span className="jp-mlops-pair-name">{name}</span>
            <span className="jp-mlops-pair-value">{formatValue(value)}</span>
          </span>
        ))}
      </span>
    </div>
  );
}

function Cut(props: { count?: number; trans: TranslationBundle }): JSX.Element | null {
  return props.count ? (
    <Line label="">
      <span className="jp-mlops-muted">
        {props.trans.__('and %1 that the card does not hold', props.count)}
      </span>
    </Line>
  ) : null;
}

function Input(props: {
  item: IInput;
  onSnapshot: ((spec: string) => void) | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { item, trans } = props;
  const size =
    item.rows !== null
      ? [item.rows, item.columns]
          .filter(n => n !== null)
          .map(n => n!.toLocaleString())
          .join(' × ')
      : item.size
        ? formatSize(item.size)
        : '';
  return (
    <>
      <code>{item.name}</code> {item.kind} {size} {item.digest && <code>{item.digest}</code>}{' '}
      {item.source !== null && item.source !== item.name && (
        <span className="jp-mlops-muted">{trans.__('from %1', item.source)} </span>
      )}
      {item.snapshot && <Kept spec={item.snapshot} {...props} />}
      {item.reason && (
        <span className="jp-mlops-muted">
          {item.digest ? item.reason : trans.__('no digest: %1', item.reason)}
        </span>
      )}
    </>
  );
}

/** The version of data that keeps an input, and what keeping it took. */
function Kept(props: {
  spec: string;
  item: IInput;
  onSnapshot: ((spec: string) => void) | null;
  trans: TranslationBundle;
}): JSX.Element {
  const { spec, item, onSnapshot, trans } = props;
  return (
    <>
      {onSnapshot ? (
        <button
          type="button"
          className="jp-mlops-link"
          title={trans.__('Show what %1 holds', spec)}
          onClick={() => onSnapshot(spec)}
        >
          {spec}
        </button>
      ) : (
        <code>{spec}</code>
      )}{' '}
      {item.added !== null && item.added > 0 && (
        <span className="jp-mlops-muted">+{formatSize(item.added)} </span>
      )}
    </>
  );
}

function fileKind(item: IKeptFile, trans: TranslationBundle): string {
  switch (item.kind) {
    case 'figure':
      return trans.__('figure');
    case 'table':
      return trans.__('table');
    case 'output':
      return trans.__('output');
    case 'traceback':
      return trans.__('traceback');
    case 'code':
      return trans.__('code');
    case 'notebook':
      return trans.__('notebook');
    default:
      return trans.__('file');
  }
}
