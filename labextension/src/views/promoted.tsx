import type { TranslationBundle } from '@jupyterlab/translation';
import { closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { DiffLine } from '../model/compare';
import { diffLines } from '../model/compare';
import type { ApiError } from '../model/errors';
import type { IFileChange, IPromoted } from '../model/promotion';
import { conflictsOf, differencesOf } from '../model/promotion';
import { diffTexts } from '../model/textdiff';
import { Differences } from './dialogs';
import { Command, IconButton, TextButton } from './parts';
import { Tick } from './planparts';

/** What a promotion wrote: the proof's verdict, the files, and the way back. */
export function Promoted(props: {
  made: IPromoted;
  open: (file: string) => void;
  dismiss: () => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { made, open, trans } = props;
  const proven = made.verdict === 'equal' || made.verdict === 'within_tolerance';
  return (
    <section
      className={`jp-mlops-promotion-result jp-mlops-mod-${proven ? 'good' : 'warn'}`}
      aria-label={trans.__('Result')}
      role="status"
    >
      <div className="jp-mlops-promotion-bar">
        {proven && <Tick />}
        <h3>{trans.__('pipelines/%1 is written', made.name)}</h3>
        <span className="jp-mlops-spacer" />
        <IconButton icon={closeIcon} label={trans.__('Dismiss')} onClick={props.dismiss} />
      </div>
      <p className="jp-mlops-promotion-verdict" data-verdict={made.verdict}>
        {verdictText(made.verdict, trans)}
        {made.reason !== null && ` (${made.reason})`}
      </p>
      {made.warnings.length > 0 && (
        <ul>
          {made.warnings.map((text, index) => (
            <li key={index}>{text}</li>
          ))}
        </ul>
      )}
      <ul className="jp-mlops-promotion-files">
        {[...made.changes, { file: 'proof.json', status: '', diff: '' }].map(change => (
          <Changed key={change.file} change={change} open={open} trans={trans} />
        ))}
      </ul>
      {made.undo !== null && (
        <>
          <div className="jp-mlops-muted">{trans.__('To take it back:')}</div>
          <Command text={made.undo} trans={trans} />
        </>
      )}
    </section>
  );
}

function Changed(props: {
  change: IFileChange;
  open: (file: string) => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { change, open, trans } = props;
  const { file, status, diff } = change;
  return (
    <li data-file={file}>
      {status === 'removed' ? (
        <code>{file}</code>
      ) : (
        <button type="button" className="jp-mlops-more" onClick={() => open(file)}>
          {file}
        </button>
      )}{' '}
      <span className="jp-mlops-muted">{statusText(status, trans)}</span>
      {diff !== '' && status !== 'new' && (
        <details>
          <summary>{trans.__('What changed')}</summary>
          <Diff lines={diffLines(diff)} />
        </details>
      )}
    </li>
  );
}

/** Why nothing was written. */
export function Failed(props: {
  failure: ApiError;
  replace: () => void;
  dismiss: () => void;
  trans: TranslationBundle;
}): JSX.Element {
  const { failure, trans } = props;
  const differences = differencesOf(failure);
  const conflicts = conflictsOf(failure);
  return (
    <section
      className="jp-mlops-promotion-result jp-mlops-mod-bad"
      aria-label={trans.__('Nothing was written')}
      role="alert"
    >
      <div className="jp-mlops-promotion-bar">
        <h3>{trans.__('Nothing was written')}</h3>
        <span className="jp-mlops-spacer" />
        <IconButton icon={closeIcon} label={trans.__('Dismiss')} onClick={props.dismiss} />
      </div>
      <p className="jp-mlops-promotion-cause">{failure.message}</p>
      {differences.length > 0 && <Differences differences={differences} trans={trans} />}
      {failure.hint !== null && <p className="jp-mlops-muted">{failure.hint}</p>}
      {conflicts.map(({ where, theirs, ours }) => (
        <div key={where} className="jp-mlops-promotion-conflict">
          <div>
            <code>{where}</code>{' '}
            <span className="jp-mlops-muted">
              {trans.__('from yours (-) to the new promotion’s (+)')}
            </span>
          </div>
          <Diff lines={diffTexts(theirs ?? '', ours ?? '')} />
        </div>
      ))}
      {failure.reason === 'conflict' && failure.status !== 409 && (
        <TextButton
          kind="warn"
          className="jp-mlops-promotion-replace"
          label={trans.__('Replace it…')}
          title={trans.__('Asks first; the old pipeline is kept in .mlops/replaced')}
          onClick={props.replace}
        />
      )}
    </section>
  );
}

function Diff(props: { lines: DiffLine[] }): JSX.Element {
  return (
    <pre className="jp-mlops-diff" tabIndex={0}>
      {props.lines.map((line, index) => (
        <span key={index} className={`jp-mlops-mod-${line.kind}`}>
          {line.text}
          {'\n'}
        </span>
      ))}
    </pre>
  );
}

function verdictText(verdict: string, trans: TranslationBundle): string {
  switch (verdict) {
    case 'equal':
      return trans.__('Proof: equal. The replay in fresh kernels gave exactly the same result.');
    case 'within_tolerance':
      return trans.__(
        'Proof: within tolerance. The replays differ among themselves as the run does.'
      );
    default:
      return trans.__('Proof: unproven. The replay was not shown to give the same result.');
  }
}

function statusText(status: string, trans: TranslationBundle): string {
  switch (status) {
    case 'new':
      return trans.__('new');
    case 'changed':
      return trans.__('changed');
    case 'kept':
      return trans.__('not changed');
    case 'merged':
      return trans.__('changed, with your edits');
    case 'removed':
      return trans.__('removed');
    default:
      return '';
  }
}
