import type { TranslationBundle } from '@jupyterlab/translation';
import { checkIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ApiError } from '../model/errors';
import type { Edit, ILocalProblem } from '../model/plan';
import type { IPreviewState } from '../model/preview';
import { TextButton } from './parts';

/** What each part of the preview is given. */
export interface IPartProps {
  state: IPreviewState;
  edit: (edit: Edit) => void;
  trans: TranslationBundle;
}

/** A tick box with its words. */
export function Check(props: {
  label: string;
  checked: boolean;
  onChange: (on: boolean) => void;
  className?: string;
  title?: string;
}): JSX.Element {
  return (
    <label className={`jp-mlops-check ${props.className ?? ''}`} title={props.title}>
      <input
        type="checkbox"
        checked={props.checked}
        onChange={event => props.onChange(event.target.checked)}
      />
      {props.label}
    </label>
  );
}

/** What ties a field to the problem that is shown beside it. */
export function problemProps(
  state: IPreviewState,
  place: string,
  id: string
): { 'aria-invalid': boolean; 'aria-describedby': string | undefined } {
  const wrong = state.local?.place === place || state.refusal?.place === place;
  return { 'aria-invalid': wrong, 'aria-describedby': wrong ? `${id}-problem` : undefined };
}

/** What is wrong with a change, beside what caused it; nothing where nothing is. */
export function Problem(props: {
  state: IPreviewState;
  place: string;
  id: string;
  trans: TranslationBundle;
  takeBack: () => void;
}): JSX.Element | null {
  const { state, place, id, trans } = props;
  const local = state.local?.place === place ? state.local : null;
  const refusal = state.refusal?.place === place ? state.refusal : null;
  if (local === null && refusal === null) {
    return null;
  }
  return (
    <div className="jp-mlops-promotion-problem" id={`${id}-problem`} role="alert">
      <span>{local !== null ? localText(local, trans) : sentence(refusal!.error)}</span>
      {(local !== null || refusal?.held === true) && (
        <TextButton label={trans.__('Take back')} onClick={props.takeBack} />
      )}
    </div>
  );
}

function localText(problem: ILocalProblem, trans: TranslationBundle): string {
  switch (problem.kind) {
    case 'pipeline':
      return trans.__('Letters, digits, “-”, “_” and “.” only, a letter or digit first.');
    case 'parameter':
      return trans.__('A parameter’s name is a name of Python: letters, digits and “_”.');
    case 'step':
      return trans.__('A step’s name is a file’s: letters, digits, “-” and “_”.');
    default:
      return trans.__('Another step has this name.');
  }
}

function sentence(error: ApiError): string {
  const text = error.message.replace(/^edits: /, '');
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return error.hint === null ? whole : `${whole}${/[.!?]$/.test(whole) ? '' : '.'} ${error.hint}`;
}

/** A tick for what is done. */
export function Tick(): JSX.Element {
  return (
    <checkIcon.react tag="span" className="jp-mlops-promotion-tick" height="16px" width="16px" />
  );
}
