import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { ApiError } from '../model/errors';
import type { ParameterDraft } from '../model/parameters';
import { changedParameters, draftOf, expectedText, inputOf, valueText } from '../model/parameters';
import type { IApi } from '../model/port';
import type { IJob, IParameter, IPipeline } from '../model/types';
import { Field, ask } from './dialogs';

/**
 * Ask for a pipeline's parameters and start it; `null` when it is cancelled.
 *
 * What the server refuses of the parameters is shown in the form, which keeps what was typed.
 * Rejects with an `ApiError` for anything else.
 */
export async function startPipeline(
  api: IApi,
  path: string,
  pipeline: IPipeline,
  trans: TranslationBundle
): Promise<IJob | null> {
  const { name, parameters } = pipeline;
  let draft = draftOf(parameters);
  let refused: string | null = null;
  for (;;) {
    const said: string | null = refused;
    const answer: ParameterDraft | null = await ask<ParameterDraft>({
      title: trans.__('Run %1', name),
      accept: trans.__('Run'),
      initial: draft,
      trans,
      problem: () => null,
      render: (value, set) => (
        <>
          {pipeline.description !== '' && <p>{pipeline.description}</p>}
          {said !== null && (
            <p className="jp-mlops-item-error" role="alert">
              {said}
            </p>
          )}
          {parameters.length === 0 && (
            <p className="jp-mlops-muted">{trans.__('It takes no parameters.')}</p>
          )}
          {parameters.map(parameter => (
            <ParameterField
              key={parameter.name}
              parameter={parameter}
              value={value[parameter.name]}
              trans={trans}
              onChange={next => set({ ...value, [parameter.name]: next })}
            />
          ))}
        </>
      )
    });
    if (answer === null) {
      return null;
    }
    try {
      return await api.runPipeline(path, name, changedParameters(parameters, answer));
    } catch (cause) {
      if (!(cause instanceof ApiError) || cause.reason !== 'parameter') {
        throw cause;
      }
      draft = answer;
      refused = cause.message;
    }
  }
}

function ParameterField(props: {
  parameter: IParameter;
  value: string | boolean | number;
  trans: TranslationBundle;
  onChange: (value: string | boolean | number) => void;
}): JSX.Element {
  const { parameter, value, trans, onChange } = props;
  const input = inputOf(parameter);
  const className = `jp-mlops-parameter-${input.kind}`;
  const expected = expectedText(parameter.schema);
  const note = [parameter.description, input.kind === 'text' ? expected : '']
    .filter(Boolean)
    .join(' · ');
  return (
    <div className="jp-mlops-parameter" data-parameter={parameter.name}>
      {input.kind === 'text' && (
        <Field
          label={parameter.name}
          className={className}
          value={String(value)}
          problem={null}
          onChange={onChange}
        />
      )}
      {input.kind === 'box' && (
        <label>
          <input
            type="checkbox"
            className={className}
            checked={value === true}
            onChange={event => onChange(event.target.checked)}
          />{' '}
          {parameter.name}
        </label>
      )}
      {input.kind === 'choice' && (
        <div className="jp-mlops-field">
          <label>
            {parameter.name}
            <select
              className={`jp-mod-styled ${className}`}
              value={Number(value)}
              onChange={event => onChange(Number(event.target.value))}
            >
              {input.choices.map((choice, index) => (
                <option key={index} value={index}>
                  {valueText(choice) || trans.__('none')}
                </option>
              ))}
            </select>
          </label>
        </div>
      )}
      {note !== '' && <div className="jp-mlops-muted">{note}</div>}
    </div>
  );
}
