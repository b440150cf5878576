import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import * as React from 'react';
import { flushSync } from 'react-dom';
import type { Root } from 'react-dom/client';
import { createRoot } from 'react-dom/client';

import { aliasProblem, nameProblem } from '../model/names';
import type { IDifference } from '../model/promotion';
import type { IGate, IRegisteredModel, IRunModel } from '../model/types';

type FormRender<T> = (value: T, set: (value: T) => void) => JSX.Element;

/**
 * A dialog's body whose value the dialog takes when it is accepted.
 *
 * It is drawn at once. A `ReactWidget` is drawn when the browser is idle, and on a busy page focus,
 * and so the Enter key, stayed behind the dialog until then.
 */
class Form<T> extends Widget implements Dialog.IBodyWidget<T> {
  constructor(
    private _value: T,
    render: FormRender<T>
  ) {
    super();
    this.addClass('jp-mlops-form');
    this._root = createRoot(this.node);
    const onChange = (value: T) => {
      this._value = value;
    };
    flushSync(() => {
      this._root.render(<FormFields initial={_value} render={render} onChange={onChange} />);
    });
  }

  getValue(): T {
    return this._value;
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this._root.unmount();
    }
    super.dispose();
  }

  private readonly _root: Root;
}

function FormFields<T>(props: {
  initial: T;
  render: FormRender<T>;
  onChange: (value: T) => void;
}): JSX.Element {
  const [value, setValue] = React.useState(props.initial);
  return props.render(value, next => {
    setValue(next);
    props.onChange(next);
  });
}

/** A line of text with its label and what is wrong with it. */
export function Field(props: {
  label: string;
  value: string;
  className: string;
  suggestions?: string[];
  problem?: string | null;
  onChange: (value: string) => void;
}): JSX.Element {
  const id = React.useId();
  return (
    <div className="jp-mlops-field">
      <label htmlFor={id}>{props.label}</label>
      <input
        id={id}
        className={`jp-mod-styled ${props.className}`}
        type="text"
        spellCheck={false}
        autoComplete="off"
        value={props.value}
        list={props.suggestions ? `${id}-list` : undefined}
        aria-invalid={Boolean(props.problem)}
        onFocus={event => event.target.select()}
        onChange={event => props.onChange(event.target.value)}
      />
      {props.suggestions && (
        <datalist id={`${id}-list`}>
          {props.suggestions.map(value => (
            <option key={value} value={value} />
          ))}
        </datalist>
      )}
      {/* The line is always there, so that the dialog does not jump. */}
      <div className="jp-mlops-field-problem" role="status">
        {props.problem ?? ''}
      </div>
    </div>
  );
}

/** Show a form until its value has no problem; `null` when it is cancelled. */
export async function ask<T>(options: {
  title: string;
  accept: string;
  initial: T;
  trans: TranslationBundle;
  problem: (value: T) => string | null;
  render: FormRender<T>;
}): Promise<T | null> {
  const { trans } = options;
  let value = options.initial;
  for (;;) {
    const result = await showDialog<T>({
      title: options.title,
      body: new Form(value, options.render),
      focusNodeSelector: 'input',
      buttons: [
        Dialog.cancelButton({ label: trans.__('Cancel') }),
        Dialog.okButton({ label: options.accept })
      ]
    });
    if (!result.button.accept || result.value === null) {
      return null;
    }
    value = result.value;
    if (options.problem(value) === null) {
      return value;
    }
  }
}

/** Ask which alias to give to a version. */
export async function askAlias(
  model: IRegisteredModel | null,
  name: string,
  version: number,
  trans: TranslationBundle
): Promise<string | null> {
  const holders = new Map<string, number>();
  for (const item of model?.versions ?? []) {
    item.aliases.forEach(alias => holders.set(alias, item.version));
  }
  const suggestions = [...new Set(['champion', 'challenger', ...holders.keys()])];
  const problem = (alias: string) => {
    switch (aliasProblem(alias.trim())) {
      case 'empty':
        return trans.__('An alias is needed.');
      case 'reserved':
        return trans.__('“latest” and v1, v2 … are MLflow’s own.');
      case 'characters':
        return trans.__('Letters, digits, “_”, “-” and “.” only, a letter first.');
      default:
        return null;
    }
  };
  const alias = await ask({
    title: trans.__('Set an alias of %1 v%2', name, version),
    accept: trans.__('Set'),
    initial: 'champion',
    trans,
    problem,
    render: (value, set) => {
      const holder = holders.get(value.trim());
      return (
        <>
          <Field
            label={trans.__('Alias')}
            className="jp-mlops-alias-name"
            value={value}
            suggestions={suggestions}
            problem={problem(value)}
            onChange={set}
          />
          <p className="jp-mlops-muted">
            {holder === undefined
              ? trans.__('No version has it now.')
              : holder === version
                ? trans.__('This version has it already.')
                : trans.__('v%1 has it now and loses it.', holder)}
          </p>
        </>
      );
    }
  });
  return alias === null ? null : alias.trim();
}

/** Ask what model version to make of a run. */
export async function askRegistration(
  suggested: string,
  models: IRunModel[],
  known: string[],
  trans: TranslationBundle
): Promise<{ name: string; model: string | undefined } | null> {
  const problem = (value: { name: string }) => modelNameProblem(value.name.trim(), trans);
  const answer = await ask({
    title: trans.__('Register a model version'),
    accept: trans.__('Register'),
    initial: { name: suggested, model: models[0]?.name as string | undefined },
    trans,
    problem,
    render: (value, set) => (
      <>
        <Field
          label={trans.__('Name of the model')}
          className="jp-mlops-model-name"
          value={value.name}
          suggestions={known}
          problem={problem(value)}
          onChange={name => set({ ...value, name })}
        />
        {models.length > 1 && (
          <div className="jp-mlops-field">
            <label>
              {trans.__('Variable')}
              <select
                className="jp-mod-styled"
                value={value.model}
                onChange={event => set({ ...value, model: event.target.value })}
              >
                {models.map(model => (
                  <option key={model.name} value={model.name}>
                    {model.name} ({model.class_name})
                  </option>
                ))}
              </select>
            </label>
          </div>
        )}
      </>
    )
  });
  return answer === null ? null : { name: answer.name.trim(), model: answer.model };
}

function modelNameProblem(name: string, trans: TranslationBundle): string | null {
  switch (nameProblem(name)) {
    case 'empty':
      return trans.__('A name is needed.');
    case 'characters':
      return trans.__('Without “/”, “\\”, “:”, “@” and line breaks.');
    case 'long':
      return trans.__('At most 200 characters.');
    default:
      return null;
  }
}

/** Show each gate's verdict after a refusal. */
export async function showGates(
  title: string,
  message: string,
  hint: string | null,
  gates: IGate[],
  trans: TranslationBundle
): Promise<void> {
  await showDialog({
    title,
    body: (
      <div className="jp-mlops-gates">
        <p>{message}</p>
        {gates.length > 0 && (
          <ul>
            {gates.map(gate => (
              <li key={gate.name} className={gate.passed ? 'jp-mlops-passed' : 'jp-mlops-failed'}>
                <span className="jp-mlops-verdict" aria-hidden="true">
                  {gate.passed ? '✓' : '✗'}
                </span>
                <span>
                  <strong>{gate.name}</strong>{' '}
                  <span className="jp-mlops-muted">
                    {gate.passed ? trans.__('passed') : trans.__('refused')}
                  </span>
                  <div>{gate.message}</div>
                </span>
              </li>
            ))}
          </ul>
        )}
        {hint && <p className="jp-mlops-muted">{hint}</p>}
      </div>
    ),
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

/** Show what a replay gave otherwise than the tracked run. */
export async function showDifferences(
  title: string,
  message: string,
  hint: string | null,
  differences: IDifference[],
  trans: TranslationBundle
): Promise<void> {
  await showDialog({
    title,
    body: (
      <div className="jp-mlops-differences">
        <p>{message}</p>
        {differences.length > 0 && <Differences differences={differences} trans={trans} />}
        {hint && <p className="jp-mlops-muted">{hint}</p>}
      </div>
    ),
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

/** What each side has, in full: two values may differ in their last digit only. */
export function Differences(props: {
  differences: IDifference[];
  trans: TranslationBundle;
}): JSX.Element {
  const { differences, trans } = props;
  return (
    <table className="jp-mlops-differences-table">
      <thead>
        <tr>
          <th>{trans.__('Metric')}</th>
          <th>{trans.__('Tracked')}</th>
          <th>{trans.__('Replayed')}</th>
        </tr>
      </thead>
      <tbody>
        {differences.map(row => (
          <tr key={row.metric}>
            <td>{row.metric}</td>
            <td>{row.tracked || '–'}</td>
            <td>{row.replayed || '–'}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}
