import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import { TextButton } from './parts';

/** How long a question waits for its answer, in milliseconds. */
const CONFIRM_MS = 6000;

/** What is being done to one item of a list; what cannot be taken back is asked about first. */
export interface IConfirming {
  stage: 'idle' | 'confirm' | 'busy';
  /** Why the last work failed. */
  failure: ApiError | null;
  /** Ask; nobody answering is a no. */
  ask: () => void;
  /** Take the question back. */
  drop: () => void;
  /** Take it back when Escape is pressed anywhere in the item. */
  onKeyDown: (event: React.KeyboardEvent) => void;
  /** Do it, and show that it goes on and how it failed. */
  work: (action: () => Promise<void>) => void;
}

/** The state of an item that can be worked on, with a question before what is final. */
export function useConfirming(): IConfirming {
  const [stage, setStage] = React.useState<IConfirming['stage']>('idle');
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  React.useEffect(() => {
    if (stage !== 'confirm') {
      return undefined;
    }
    const timer = setTimeout(() => setStage('idle'), CONFIRM_MS);
    return () => clearTimeout(timer);
  }, [stage]);
  return {
    stage,
    failure,
    ask: () => setStage('confirm'),
    drop: () => setStage('idle'),
    onKeyDown: event => {
      if (event.key === 'Escape') {
        setStage('idle');
      }
    },
    work: action => {
      setStage('busy');
      setFailure(null);
      action()
        .catch(cause => setFailure(asApiError(cause)))
        .finally(() => setStage('idle'));
    }
  };
}

/** The question itself, in the place of the item's buttons. */
export function Confirm(props: {
  className: string;
  label: string;
  onConfirm: () => void;
  onDrop: () => void;
  trans: TranslationBundle;
}): JSX.Element {
  return (
    <span className="jp-mlops-confirm">
      <TextButton
        kind="warn"
        className={props.className}
        label={props.label}
        autoFocus
        onClick={props.onConfirm}
      />
      <TextButton label={props.trans.__('Keep')} onClick={props.onDrop} />
    </span>
  );
}
