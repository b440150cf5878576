import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import { Failure, TextButton } from './parts';

/** The line above a list of which two items can be ticked and compared. */
export function CompareBar(props: {
  /** The two in words; `null` while there are not two. */
  pair: string | null;
  /** Both in full, where the words are short for them. */
  title?: string;
  /** Compare them; calls `shown` as soon as there is something to see. */
  compare: (shown: () => void) => Promise<unknown>;
  className: string;
  trans: TranslationBundle;
}): JSX.Element {
  const { pair, trans } = props;
  const [busy, setBusy] = React.useState(false);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const compare = () => {
    const shown = () => setBusy(false);
    setBusy(true);
    setFailure(null);
    props
      .compare(shown)
      .catch(cause => setFailure(asApiError(cause)))
      .finally(shown);
  };
  return (
    <>
      <div className="jp-mlops-runs-bar">
        <span className="jp-mlops-muted" role="status" title={props.title}>
          {pair ?? trans.__('Tick two to compare')}
        </span>
        <span className="jp-mlops-spacer" />
        <TextButton
          className={props.className}
          label={busy ? trans.__('Comparing…') : trans.__('Compare')}
          disabled={pair === null || busy}
          onClick={compare}
        />
      </div>
      <Failure failure={failure} />
    </>
  );
}
