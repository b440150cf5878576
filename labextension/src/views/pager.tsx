import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { pagePlace } from '../model/snapshots';

/** Where a page lies, and the way to its neighbours; nothing where there is but one. */
export function Pager(props: {
  offset: number;
  shown: number;
  size: number;
  total: number;
  busy: boolean;
  /** What is paged through, for those who do not see the table. */
  label: string;
  trans: TranslationBundle;
  onGo: (offset: number) => void;
}): JSX.Element | null {
  const { offset, shown, size, total, busy, trans, onGo } = props;
  const place = pagePlace(offset, shown, size, total);
  if (place.before === null && place.after === null) {
    return null;
  }
  return (
    <div className="jp-mlops-pager" role="navigation" aria-label={props.label}>
      <PageButton
        className="jp-mlops-page-before"
        label={trans.__('Previous')}
        target={busy ? null : place.before}
        onGo={onGo}
      />
      <span role="status">
        {trans.__(
          '%1–%2 of %3',
          place.from.toLocaleString(),
          place.to.toLocaleString(),
          total.toLocaleString()
        )}
      </span>
      <PageButton
        className="jp-mlops-page-after"
        label={trans.__('Next')}
        target={busy ? null : place.after}
        onGo={onGo}
      />
    </div>
  );
}

/** It keeps the focus while it leads nowhere: a button that is disabled would lose it. */
function PageButton(props: {
  className: string;
  label: string;
  target: number | null;
  onGo: (offset: number) => void;
}): JSX.Element {
  const { target } = props;
  return (
    <button
      type="button"
      className={`jp-mlops-button jp-mlops-mod-plain ${props.className}`}
      aria-disabled={target === null}
      onClick={() => target !== null && props.onGo(target)}
    >
      {props.label}
    </button>
  );
}
