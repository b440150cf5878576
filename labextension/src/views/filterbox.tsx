import type { TranslationBundle } from '@jupyterlab/translation';
import { clearIcon, searchIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { IconButton } from './parts';

/** A line to type in what a list is filtered by; Escape clears it. */
export function FilterBox(props: {
  value: string;
  onChange: (value: string) => void;
  label: string;
  placeholder: string;
  trans: TranslationBundle;
}): JSX.Element {
  const input = React.useRef<HTMLInputElement>(null);
  const clear = () => {
    props.onChange('');
    input.current?.focus();
  };
  return (
    <div className="jp-mlops-filter">
      <searchIcon.react tag="span" className="jp-mlops-filter-icon" height="14px" width="14px" />
      <input
        ref={input}
        type="text"
        spellCheck={false}
        aria-label={props.label}
        placeholder={props.placeholder}
        value={props.value}
        onChange={event => props.onChange(event.target.value)}
        onKeyDown={event => {
          if (event.key === 'Escape' && props.value !== '') {
            event.stopPropagation();
            clear();
          }
        }}
      />
      {props.value !== '' && (
        <IconButton icon={clearIcon} label={props.trans.__('Clear the filter')} onClick={clear} />
      )}
    </div>
  );
}
