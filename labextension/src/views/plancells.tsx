import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { formatDuration } from '../model/format';
import type { IGroup } from '../model/plan';
import { repetition, stepName } from '../model/plan';
import type { IPlan, IPlanCell, IPlanStep } from '../model/types';
import { Chip, TextButton } from './parts';
import type { IPartProps } from './planparts';
import { Problem, problemProps } from './planparts';

interface IProps extends IPartProps {
  plan: IPlan;
  takeBack: () => void;
  group: IGroup;
  number: number;
  /** The cells whose source is shown, by `seq`. */
  open: ReadonlySet<number>;
  toggle: (seq: number) => void;
}

/** One step: its name, what it takes and leaves, and its cells in executed order. */
export function Group(props: IProps): JSX.Element {
  const { state, edit, trans, group, number } = props;
  const { step, first } = group;
  const id = React.useId();
  const place = `steps.${first}`;
  return (
    <div
      className="jp-mlops-promotion-step"
      role="group"
      aria-label={trans.__('Step %1', step?.name ?? number + 1)}
      data-step={step?.name}
    >
      {step !== null && (
        <div className="jp-mlops-promotion-step-head">
          <span className="jp-mlops-promotion-number" aria-hidden="true">
            {number + 1}
          </span>
          <input
            className="jp-mod-styled jp-mlops-promotion-step-name"
            type="text"
            spellCheck={false}
            autoComplete="off"
            aria-label={trans.__('Name of step %1', number + 1)}
            value={stepName(state.draft, step, first)}
            {...problemProps(state, place, id)}
            onChange={event => edit({ kind: 'rename', first, name: event.target.value })}
          />
          <HandOffs step={step} trans={trans} />
          <span className="jp-mlops-muted jp-mlops-promotion-why">
            {number > 0 && step.reason !== '' ? trans.__('begins here: %1', step.reason) : ''}
          </span>
          <span className="jp-mlops-spacer" />
          {number > 0 && (
            <TextButton
              className="jp-mlops-promotion-join"
              label={trans.__('Join with the step before')}
              onClick={() => edit({ kind: 'join', first })}
            />
          )}
        </div>
      )}
      <Problem state={state} place={place} id={id} trans={trans} takeBack={props.takeBack} />
      <ul className="jp-mlops-promotion-cells">
        {group.cells.map(cell => (
          <Cell key={cell.seq} {...props} cell={cell} />
        ))}
      </ul>
    </div>
  );
}

/** What passes into a step and out of it. */
function HandOffs(props: { step: IPlanStep; trans: TranslationBundle }): JSX.Element {
  const { step, trans } = props;
  const inputs = Object.entries(step.inputs);
  return (
    <span className="jp-mlops-promotion-handoffs">
      {inputs.length > 0 && (
        <span>
          {trans.__('takes')}{' '}
          {inputs.map(([variable, source], index) => (
            <React.Fragment key={variable}>
              {index > 0 && ', '}
              <code>{variable}</code>{' '}
              <span className="jp-mlops-muted">{trans.__('from %1', source)}</span>
            </React.Fragment>
          ))}
        </span>
      )}
      {step.outputs.length > 0 && (
        <span>
          {trans.__('leaves')}{' '}
          {step.outputs.map(({ variable, kind }, index) => (
            <React.Fragment key={variable}>
              {index > 0 && ', '}
              <code>{variable}</code>
              {kind !== 'unknown' && <span className="jp-mlops-muted"> {kind}</span>}
            </React.Fragment>
          ))}
        </span>
      )}
    </span>
  );
}

function Cell(props: IProps & { cell: IPlanCell }): JSX.Element {
  const { state, edit, trans, group, cell, toggle } = props;
  const open = props.open.has(cell.seq);
  const kept = state.draft.cells[cell.seq] ?? cell.kept;
  const id = React.useId();
  const place = `cells.${cell.seq}`;
  const begins = group.step !== null && cell.kept && cell.seq > group.first;
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <li
      className={`jp-mlops-promotion-cell ${kept ? '' : 'jp-mlops-mod-dropped'}`}
      data-seq={cell.seq}
      data-state={cell.state}
    >
      <div className="jp-mlops-promotion-cell-row">
        <input
          type="checkbox"
          className="jp-mlops-promotion-keep"
          aria-label={trans.__('Keep cell [%1]', cell.seq)}
          title={kept ? trans.__('Kept; take the tick away to drop it') : trans.__('Dropped')}
          checked={kept}
          {...problemProps(state, place, id)}
          onChange={event => edit({ kind: 'cell', seq: cell.seq, kept: event.target.checked })}
        />
        <button
          type="button"
          className="jp-mlops-promotion-fold"
          aria-expanded={open}
          aria-controls={`${id}-source`}
          title={open ? trans.__('Hide the source') : trans.__('Show the source')}
          onClick={() => toggle(cell.seq)}
        >
          <Caret.react tag="span" elementSize="normal" />
          <span className="jp-mlops-promotion-seq">[{cell.seq}]</span>
          <code className="jp-mlops-promotion-line">{firstLine(cell.source)}</code>
        </button>
        <Marks cell={cell} trans={trans} />
        <span className="jp-mlops-promotion-reason">
          {kept === cell.kept
            ? cell.reason
            : kept
              ? trans.__('kept by you')
              : trans.__('dropped by you')}
        </span>
        {begins && (
          <TextButton
            className="jp-mlops-promotion-begin"
            label={trans.__('Begin a step here')}
            onClick={() => edit({ kind: 'begin', seq: cell.seq })}
          />
        )}
      </div>
      <Problem state={state} place={place} id={id} trans={trans} takeBack={props.takeBack} />
      {begins && (
        <Problem
          state={state}
          place={`steps.${cell.seq}`}
          id={`${id}-begin`}
          trans={trans}
          takeBack={props.takeBack}
        />
      )}
      <pre
        id={`${id}-source`}
        className="jp-mlops-promotion-source"
        hidden={!open}
        tabIndex={open ? 0 : -1}
      >
        {cell.source}
      </pre>
    </li>
  );
}

/** What is unusual about an execution. */
function Marks(props: { cell: IPlanCell; trans: TranslationBundle }): JSX.Element {
  const { cell, trans } = props;
  const times = repetition(cell);
  return (
    <span className="jp-mlops-promotion-marks">
      {cell.state === 'edited' && (
        <Chip
          kind="busy"
          title={trans.__('The cell was edited since; this is its source when it ran.')}
        >
          {trans.__('edited since')}
        </Chip>
      )}
      {cell.state === 'deleted' && (
        <Chip
          kind="busy"
          title={trans.__('The notebook no longer has this cell; it comes from the journal.')}
        >
          {trans.__('deleted since')}
        </Chip>
      )}
      {cell.state === 'failed' && <Chip kind="bad">{trans.__('failed')}</Chip>}
      {cell.state === 'private' && <Chip kind="plain">{trans.__('private')}</Chip>}
      {times > 1 && (
        <Chip kind="plain" title={trans.__('The same cell ran before.')}>
          {trans.__('run %1', times)}
        </Chip>
      )}
      {cell.seconds >= 1 && (
        <span className="jp-mlops-muted" title={trans.__('How long it took')}>
          {formatDuration(cell.seconds)}
        </span>
      )}
    </span>
  );
}

/** The first line that does something, for a cell whose source is folded. */
function firstLine(source: string): string {
  const lines = source.split('\n').filter(line => line.trim() !== '');
  return lines.find(line => !/^\s*[#%]/.test(line)) ?? lines[0] ?? '';
}
