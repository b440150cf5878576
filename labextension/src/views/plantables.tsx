import * as React from 'react';

import type { ParameterType } from '../model/plan';
import { PARAMETER_TYPES, typeOf } from '../model/plan';
import type { IPlan, IPlanFile, IPlanParameter } from '../model/types';
import { Chip } from './parts';
import type { IPartProps } from './planparts';
import { Problem, problemProps } from './planparts';

type Props = IPartProps & { plan: IPlan; takeBack: () => void };

/** The literals that can be given from outside: which, under what names, of what types. */
export function ParameterTable(props: Props): JSX.Element {
  const { plan, trans } = props;
  const heading = React.useId();
  return (
    <section aria-labelledby={heading}>
      <h3 id={heading}>{trans.__('Parameters')}</h3>
      {plan.parameters.length === 0 ? (
        <p className="jp-mlops-muted">
          {trans.__(
            'None: a literal that is assigned once at the top level, such as rate = 0.1, becomes one.'
          )}
        </p>
      ) : (
        <table className="jp-mlops-promotion-table jp-mlops-promotion-parameters">
          <thead>
            <tr>
              <th scope="col">{trans.__('Include')}</th>
              <th scope="col">{trans.__('Name')}</th>
              <th scope="col">{trans.__('Type')}</th>
              <th scope="col">{trans.__('Default')}</th>
              <th scope="col">{trans.__('Why')}</th>
              <th scope="col">{trans.__('Cell')}</th>
            </tr>
          </thead>
          <tbody>
            {plan.parameters.map(parameter => (
              <Parameter key={parameter.original} {...props} parameter={parameter} />
            ))}
          </tbody>
        </table>
      )}
    </section>
  );
}

function Parameter(props: Props & { parameter: IPlanParameter }): JSX.Element {
  const { state, edit, trans, parameter } = props;
  const { original } = parameter;
  const id = React.useId();
  const place = `parameters.${original}`;
  const mine = state.draft.parameters[original];
  const included = mine?.included ?? true;
  const type = mine?.type ?? typeOf(parameter.schema);
  const name = mine?.name ?? original;
  const wrong = state.local?.place === place || state.refusal?.place === place;
  return (
    <>
      <tr className={included ? '' : 'jp-mlops-mod-dropped'} data-parameter={original}>
        <td>
          <input
            type="checkbox"
            aria-label={trans.__('Include parameter %1', original)}
            checked={included}
            onChange={event =>
              edit({ kind: 'parameter', original, change: { included: event.target.checked } })
            }
          />
        </td>
        <td>
          <input
            type="text"
            className="jp-mod-styled jp-mlops-promotion-parameter-name"
            spellCheck={false}
            autoComplete="off"
            aria-label={trans.__('Name of parameter %1', original)}
            disabled={!included}
            value={name}
            {...problemProps(state, place, id)}
            onChange={event =>
              edit({ kind: 'parameter', original, change: { name: event.target.value } })
            }
          />
          {name !== original && (
            <div className="jp-mlops-muted">{trans.__('%1 in the notebook', original)}</div>
          )}
        </td>
        <td>
          <select
            className="jp-mlops-promotion-type"
            aria-label={trans.__('Type of parameter %1', original)}
            disabled={!included}
            value={type ?? ''}
            onChange={event =>
              edit({
                kind: 'parameter',
                original,
                change: { type: event.target.value as ParameterType }
              })
            }
          >
            {type === null && <option value="">{trans.__('any')}</option>}
            {PARAMETER_TYPES.map(value => (
              <option key={value} value={value}>
                {value}
              </option>
            ))}
          </select>
        </td>
        <td>
          <code>{JSON.stringify(parameter.default)}</code>
        </td>
        <td className="jp-mlops-muted">{parameter.reason}</td>
        <td className="jp-mlops-muted">[{parameter.seq}]</td>
      </tr>
      {wrong && (
        <tr>
          <td />
          <td colSpan={5}>
            <Problem state={state} place={place} id={id} trans={trans} takeBack={props.takeBack} />
          </td>
        </tr>
      )}
    </>
  );
}

/** What the kept cells read, and whether the replay reads it where it lies or as it was. */
export function DataTable(props: IPartProps & { plan: IPlan }): JSX.Element {
  const { state, edit, plan, trans } = props;
  const heading = React.useId();
  const name = React.useId();
  const { data } = state.draft;
  const kept = plan.files.some(file => file.snapshot !== null);
  return (
    <section aria-labelledby={heading} className="jp-mlops-promotion-data">
      <h3 id={heading}>{trans.__('Data')}</h3>
      {plan.files.length === 0 ? (
        <p className="jp-mlops-muted">{trans.__('No file is known to be read.')}</p>
      ) : (
        <>
          <div className="jp-mlops-promotion-choice" role="radiogroup" aria-labelledby={heading}>
            <label className="jp-mlops-check">
              <input
                type="radio"
                name={name}
                checked={data === 'source'}
                onChange={() => edit({ kind: 'data', data: 'source' })}
              />
              {trans.__('Replay on the sources as they are now')}
            </label>
            <label
              className="jp-mlops-check"
              title={kept ? undefined : trans.__('No snapshot of this data is recorded')}
            >
              <input
                type="radio"
                name={name}
                checked={data === 'pinned'}
                disabled={!kept && data !== 'pinned'}
                onChange={() => edit({ kind: 'data', data: 'pinned' })}
              />
              {trans.__('Replay on the snapshots of the run (pinned)')}
            </label>
          </div>
          <table className="jp-mlops-promotion-table">
            <thead>
              <tr>
                <th scope="col">{trans.__('Source')}</th>
                <th scope="col">{trans.__('Snapshot')}</th>
                <th scope="col">{trans.__('Parameter')}</th>
              </tr>
            </thead>
            <tbody>
              {plan.files.map(file => (
                <File key={file.source} {...props} file={file} />
              ))}
            </tbody>
          </table>
        </>
      )}
    </section>
  );
}

function File(props: IPartProps & { file: IPlanFile }): JSX.Element {
  const { file, state, trans } = props;
  const parameter = Object.entries(state.draft.parameters).find(
    ([original]) => original === file.parameter
  );
  return (
    <tr>
      <td>
        <code>{file.source}</code>
      </td>
      <td>
        {file.snapshot === null ? (
          <span className="jp-mlops-muted">{trans.__('none')}</span>
        ) : (
          <>
            <code>{file.snapshot}</code>{' '}
            <Chip
              kind="plain"
              title={
                file.exact
                  ? trans.__('It gives back the same bytes.')
                  : trans.__('It gives back the same values.')
              }
            >
              {file.exact ? trans.__('same bytes') : trans.__('same values')}
            </Chip>
          </>
        )}
      </td>
      <td>
        {file.parameter === null ? (
          <span className="jp-mlops-muted">{trans.__('none')}</span>
        ) : (
          <code>{parameter?.[1].name ?? file.parameter}</code>
        )}
      </td>
    </tr>
  );
}
