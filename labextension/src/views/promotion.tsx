import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { formatNumber, formatTime } from '../model/format';
import type { Mode } from '../model/plan';
import { groupCells, hasPlace } from '../model/plan';
import type { IPreviewState, PromotionPreview } from '../model/preview';
import type { IPlan } from '../model/types';
import { useStore } from './hooks';
import { ErrorMessage, Guard, Skeleton, TextButton } from './parts';
import { Group } from './plancells';
import type { IPartProps } from './planparts';
import { Check, Problem, problemProps } from './planparts';
import { DataTable, ParameterTable } from './plantables';
import { Failed, Promoted } from './promoted';

/** What the preview lets a person do besides changing the plan. */
export interface IPreviewActions {
  promote(): void;
  /** Promote over what is there, once the person has agreed. */
  replace(): void;
  cancel(): void;
  /** Open a file of the pipeline. */
  open(file: string): void;
}

/** A promotion before anything is written, in a tab of its own. */
export function PromotionView(props: {
  preview: PromotionPreview;
  notebook: string;
  actions: IPreviewActions;
  trans: TranslationBundle;
}): JSX.Element {
  const { preview, notebook, actions, trans } = props;
  const state = useStore(preview);
  const part: IPartProps = { state, edit: edit => preview.edit(edit), trans };
  const { plan, made, failure } = state;
  return (
    <Guard trans={trans}>
      <div className="jp-mlops-promotion-scroll" tabIndex={-1}>
        <Head {...part} preview={preview} notebook={notebook} actions={actions} />
        <main className="jp-mlops-promotion-body" aria-busy={state.asking}>
          {made !== null && (
            <Promoted
              made={made}
              open={actions.open}
              dismiss={() => preview.dismiss()}
              trans={trans}
            />
          )}
          {failure !== null && (
            <Failed
              failure={failure}
              replace={actions.replace}
              dismiss={() => preview.dismiss()}
              trans={trans}
            />
          )}
          {plan === null ? (
            state.refusal !== null ? (
              <ErrorMessage
                error={state.refusal.error}
                trans={trans}
                onRetry={() => void preview.refresh()}
              />
            ) : (
              <Skeleton rows={6} trans={trans} />
            )
          ) : (
            <fieldset disabled={state.promoting} className="jp-mlops-promotion-plan">
              {state.refusal !== null && state.refusal.place === null && (
                <ErrorMessage
                  compact
                  error={state.refusal.error}
                  trans={trans}
                  onRetry={() => void preview.refresh()}
                />
              )}
              {state.refusal?.place != null && !hasPlace(plan, state.refusal.place) && (
                <Problem
                  state={state}
                  place={state.refusal.place}
                  id="jp-mlops-promotion"
                  trans={trans}
                  takeBack={() => preview.takeBack()}
                />
              )}
              <Summary {...part} plan={plan} />
              <Notes plan={plan} trans={trans} />
              <Steps {...part} plan={plan} takeBack={() => preview.takeBack()} />
              <ParameterTable {...part} plan={plan} takeBack={() => preview.takeBack()} />
              <DataTable {...part} plan={plan} />
            </fieldset>
          )}
        </main>
      </div>
    </Guard>
  );
}

function Head(
  props: IPartProps & { preview: PromotionPreview; notebook: string; actions: IPreviewActions }
): JSX.Element {
  const { state, edit, trans, preview, notebook, actions } = props;
  const id = React.useId();
  const done = state.made !== null;
  return (
    <header className="jp-mlops-promotion-head">
      <h2>{trans.__('Promote %1', notebook)}</h2>
      <div className="jp-mlops-promotion-name">
        <label htmlFor={id}>{trans.__('Pipeline')}</label>
        <input
          id={id}
          className="jp-mod-styled jp-mlops-pipeline-name"
          type="text"
          spellCheck={false}
          autoComplete="off"
          disabled={state.promoting}
          value={state.draft.name}
          {...problemProps(state, 'name', id)}
          onChange={event => edit({ kind: 'name', name: event.target.value })}
        />
      </div>
      <span className="jp-mlops-promotion-status jp-mlops-muted" role="status">
        {status(state, trans)}
      </span>
      <span className="jp-mlops-spacer" />
      <TextButton
        className="jp-mlops-promotion-cancel"
        label={done ? trans.__('Close') : trans.__('Cancel')}
        title={state.promoting ? trans.__('Close the preview; the promotion goes on') : undefined}
        onClick={actions.cancel}
      />
      <button
        type="button"
        className="jp-mlops-button jp-mlops-mod-accept jp-mlops-promotion-accept"
        disabled={!state.ready}
        title={trans.__(
          'Replay these cells in fresh kernels, compare the results, and write pipelines/%1',
          state.draft.name.trim()
        )}
        onClick={actions.promote}
      >
        {done ? trans.__('Promote again') : trans.__('Promote')}
      </button>
      <Problem
        state={state}
        place="name"
        id={id}
        trans={trans}
        takeBack={() => preview.takeBack()}
      />
    </header>
  );
}

function status(state: IPreviewState, trans: TranslationBundle): string {
  if (state.promoting) {
    return state.progress || trans.__('Promoting…');
  }
  if (state.asking) {
    return state.plan === null ? trans.__('Reading the session…') : trans.__('Planning…');
  }
  return '';
}

/** What the result will be compared with, and how much of the notebook is in it. */
function Summary(props: IPartProps & { plan: IPlan }): JSX.Element {
  const { state, edit, plan, trans } = props;
  const id = React.useId();
  const kept = plan.cells.filter(cell => cell.kept).length;
  const metrics = Object.entries(plan.metrics);
  const chosen = state.runs.some(run => run.run_id === plan.run_id);
  return (
    <section className="jp-mlops-promotion-summary" aria-label={trans.__('Compared with')}>
      <dl>
        <dt>{trans.__('Kept')}</dt>
        <dd className="jp-mlops-promotion-kept">
          {trans.__('%1 of %2 executed cells', kept, plan.cells.length)},{' '}
          {trans._n('%1 step', '%1 steps', plan.steps.length)}
          {plan.model !== null && (
            <>
              {', '}
              {trans.__('model')} <code>{plan.model}</code>
            </>
          )}
        </dd>
        <dt>{trans.__('Writes')}</dt>
        <dd className="jp-mlops-promotion-writes">
          <code>pipelines/{plan.name}/</code>
          {state.again && (
            <>
              {' '}
              {trans.__(
                'is there already: only steps that change are written again, your edits in it are kept'
              )}
            </>
          )}
        </dd>
        <dt>
          <label htmlFor={id}>{trans.__('Compared with')}</label>
        </dt>
        <dd>
          {plan.run_id === null ? (
            plan.targets.length > 0 ? (
              plan.targets.join(', ')
            ) : (
              trans.__('a replay of all cells: no run of this notebook is recorded')
            )
          ) : chosen && state.runs.length > 1 ? (
            <select
              id={id}
              className="jp-mlops-promotion-run"
              value={plan.run_id}
              onChange={event => edit({ kind: 'run', run: event.target.value })}
            >
              {state.runs.map(run => (
                <option key={run.run_id} value={run.run_id}>
                  {run.name} · {formatTime(run.started)} · {run.run_id.slice(0, 10)}
                </option>
              ))}
            </select>
          ) : (
            <span className="jp-mlops-promotion-run">
              {trans.__('run')}{' '}
              {chosen && state.runs[0] !== undefined ? `${state.runs[0].name} ` : ''}
              <code>{plan.run_id.slice(0, 10)}</code>
            </span>
          )}
        </dd>
        <dt>{trans.__('Metrics')}</dt>
        <dd className="jp-mlops-promotion-metrics">
          {metrics.length === 0
            ? trans.__('none; values that pass between steps are compared')
            : metrics.map(([name, value]) => (
                <span key={name}>
                  {name} <strong title={String(value)}>{formatNumber(value)}</strong>
                </span>
              ))}
        </dd>
      </dl>
    </section>
  );
}

/** What the person should know before promoting. */
function Notes(props: { plan: IPlan; trans: TranslationBundle }): JSX.Element | null {
  const { plan, trans } = props;
  const notes =
    plan.basis === 'document'
      ? [
          trans.__('No execution is recorded: the order is that of the notebook file.'),
          ...plan.warnings
        ]
      : plan.warnings;
  return notes.length === 0 ? null : (
    <ul className="jp-mlops-promotion-notes" aria-label={trans.__('Warnings')}>
      {notes.map((text, index) => (
        <li key={index}>{text}</li>
      ))}
    </ul>
  );
}

function Steps(props: IPartProps & { plan: IPlan; takeBack: () => void }): JSX.Element {
  const { state, edit, plan, trans } = props;
  const [open, setOpen] = React.useState<ReadonlySet<number>>(new Set());
  const heading = React.useId();
  const id = React.useId();
  const { draft } = state;
  const toggle = (seq: number) => {
    const next = new Set(open);
    if (!next.delete(seq)) {
      next.add(seq);
    }
    setOpen(next);
  };
  const all = open.size > 0;
  const modes: [Mode, string][] = [
    ['auto', trans.__('where little passes')],
    ['headings', trans.__('at headings')],
    ['one', trans.__('one step')]
  ];
  return (
    <section aria-labelledby={heading}>
      <div className="jp-mlops-promotion-bar">
        <h3 id={heading}>{trans.__('Steps')}</h3>
        <label>
          {trans.__('Begin them')}{' '}
          <select
            className="jp-mlops-promotion-mode"
            value={draft.steps !== null ? 'mine' : draft.mode}
            {...problemProps(state, 'mode', id)}
            onChange={event => edit({ kind: 'mode', mode: event.target.value as Mode })}
          >
            {modes.map(([value, label]) => (
              <option key={value} value={value}>
                {label}
              </option>
            ))}
            {draft.steps !== null && <option value="mine">{trans.__('as drawn by me')}</option>}
          </select>
        </label>
        <Check
          className="jp-mlops-promotion-displays"
          label={trans.__('Leave out what only displays')}
          checked={draft.dropDisplays}
          onChange={on => edit({ kind: 'dropDisplays', on })}
        />
        <Check
          className="jp-mlops-promotion-pickle"
          label={trans.__('Allow pickles between steps')}
          title={trans.__('Hand over as a pickle what no other format gives back exactly')}
          checked={draft.allowPickle}
          onChange={on => edit({ kind: 'allowPickle', on })}
        />
        <span className="jp-mlops-spacer" />
        <TextButton
          label={all ? trans.__('Hide sources') : trans.__('Show sources')}
          onClick={() => setOpen(new Set(all ? [] : plan.cells.map(cell => cell.seq)))}
        />
      </div>
      <Problem state={state} place="mode" id={id} trans={trans} takeBack={props.takeBack} />
      <Problem
        state={state}
        place="dropDisplays"
        id={`${id}-displays`}
        trans={trans}
        takeBack={props.takeBack}
      />
      {groupCells(plan).map((group, index) => (
        <Group
          key={group.first}
          {...props}
          group={group}
          number={index}
          open={open}
          toggle={toggle}
        />
      ))}
      {plan.refused_cuts.length > 0 && (
        <details className="jp-mlops-promotion-refused">
          <summary>
            {trans._n(
              'One place where no step can begin',
              '%1 places where no step can begin',
              plan.refused_cuts.length
            )}
          </summary>
          <ul>
            {plan.refused_cuts.map((text, index) => (
              <li key={index}>{text}</li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}
