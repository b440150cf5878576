import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { diffLines } from '../model/compare';
import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import type { IApi } from '../model/port';
import { PAGE_ROWS, plainTime, rowText } from '../model/snapshots';
import type { ISnapshotDiff, ISnapshotDiffPart, ISnapshotRow } from '../model/types';
import { Pager } from './pager';
import { TextButton } from './parts';

interface IDiffProps {
  api: IApi;
  path: string;
  first: ISnapshotDiff;
  trans: TranslationBundle;
}

/**
 * Show what differs between two versions, named `name@1`; rejects with an `ApiError`. `onFound` is
 * called when it is known, before it is looked at.
 */
export async function showSnapshotDiff(
  api: IApi,
  path: string,
  a: string,
  b: string,
  trans: TranslationBundle,
  onFound?: () => void
): Promise<void> {
  const first = await api.snapshotDiff(path, a, b, '', { offset: 0, limit: PAGE_ROWS });
  onFound?.();
  await showDialog({
    title: trans.__('%1 and %2: what differs', a, b),
    body: <SnapshotDiffView api={api} path={path} first={first} trans={trans} />,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

/** Schema, then figures of columns, then rows and cells a page at a time. */
function SnapshotDiffView(props: IDiffProps): JSX.Element {
  const { trans } = props;
  const { diff, key, busy, failure, load } = useDiff(props);
  const { whole } = diff;
  const names = { a: diff.a.spec, b: diff.b.spec };
  return (
    <div
      className="jp-mlops-compare jp-mlops-snapshotdiff"
      tabIndex={0}
      role="region"
      aria-label={trans.__('What differs')}
    >
      <p className="jp-mlops-snapshot-summary">{whole.summary}</p>
      <Facts part={whole} trans={trans} />
      {whole.kind === 'frame' && !diff.equal && (
        <KeyForm applied={key} busy={busy} trans={trans} onApply={value => load(0, value)} />
      )}
      {failure && (
        <p className="jp-mlops-item-error" role="alert">
          {failure.message} {failure.hint}
        </p>
      )}
      <Schema part={whole} names={names} trans={trans} />
      <Statistics part={whole} names={names} trans={trans} />
      {whole.total > 0 && (
        <section>
          <h4>{whole.kind === 'frame' ? trans.__('Rows') : trans.__('Cells')}</h4>
          <Pager
            offset={diff.offset}
            shown={whole.rows.length}
            size={PAGE_ROWS}
            total={whole.total}
            busy={busy}
            label={trans.__('Pages of rows')}
            trans={trans}
            onGo={offset => load(offset, key)}
          />
          <Rows rows={whole.rows} names={names} busy={busy} trans={trans} />
        </section>
      )}
      <Lines part={whole} trans={trans} />
      {diff.items.map(item => (
        <section key={item.name}>
          <h4>{item.name}</h4>
          <Facts part={item} trans={trans} />
          <Schema part={item} names={names} trans={trans} />
          <Statistics part={item} names={names} trans={trans} />
          {item.rows.length > 0 && (
            <Rows rows={item.rows} names={names} busy={false} trans={trans} />
          )}
          <More count={item.total - item.rows.length} trans={trans} />
          <Lines part={item} trans={trans} />
        </section>
      ))}
      <More count={diff.items_total - diff.items.length} trans={trans} />
    </div>
  );
}

/** The page in front, and how to get another; an answer that comes late is dropped. */
function useDiff({ api, path, first }: IDiffProps) {
  const [diff, setDiff] = React.useState(first);
  const [key, setKey] = React.useState('');
  const [busy, setBusy] = React.useState(false);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const turn = React.useRef(0);
  const load = (offset: number, columns: string) => {
    const mine = ++turn.current;
    setBusy(true);
    setFailure(null);
    api
      .snapshotDiff(path, first.a.spec, first.b.spec, columns, { offset, limit: PAGE_ROWS })
      .then(answer => {
        if (mine === turn.current) {
          setDiff(answer);
          setKey(columns);
        }
      })
      .catch(cause => mine === turn.current && setFailure(asApiError(cause)))
      .finally(() => mine === turn.current && setBusy(false));
  };
  return { diff, key, busy, failure, load };
}

function KeyForm(props: {
  applied: string;
  busy: boolean;
  trans: TranslationBundle;
  onApply: (key: string) => void;
}): JSX.Element {
  const { applied, trans } = props;
  const [value, setValue] = React.useState(applied);
  const apply = () => value.trim() !== applied && props.onApply(value.trim());
  return (
    <p className="jp-mlops-snapshot-key">
      <label>
        {trans.__('Match rows by')} {/* In an input of one line Enter would close the dialog. */}
        <textarea
          rows={1}
          className="jp-mod-styled"
          spellCheck={false}
          placeholder={trans.__('column,column')}
          value={value}
          onChange={event => setValue(event.target.value)}
          onKeyDown={event => {
            if (event.key === 'Enter') {
              event.preventDefault();
              event.stopPropagation();
              apply();
            }
          }}
        />
      </label>
      <TextButton
        label={props.busy ? trans.__('Comparing…') : trans.__('Apply')}
        disabled={props.busy || value.trim() === applied}
        onClick={apply}
      />
    </p>
  );
}

interface IPartProps {
  part: ISnapshotDiffPart;
  trans: TranslationBundle;
}

interface INames {
  a: string;
  b: string;
}

function Facts(props: IPartProps): JSX.Element | null {
  const { counts, facts } = props.part;
  const pairs = [
    [props.trans.__('Rows'), counts.rows_a, counts.rows_b],
    [props.trans.__('Columns'), counts.columns_a, counts.columns_b]
  ] as const;
  const sizes = pairs
    .filter(([, a, b]) => a !== undefined && b !== undefined)
    .map(([label, a, b]) =>
      a === b
        ? `${label}: ${a.toLocaleString()}.`
        : `${label}: ${a.toLocaleString()} → ${b.toLocaleString()}.`
    );
  const text = [...sizes, ...facts].join(' ');
  return text === '' ? null : <p className="jp-mlops-muted">{text}</p>;
}

function Schema(props: IPartProps & { names: INames }): JSX.Element | null {
  const { part, names, trans } = props;
  if (part.schema.length === 0) {
    return null;
  }
  return (
    <section>
      <h4>{trans.__('Schema')}</h4>
      <table>
        <Head first={['']} names={names} />
        <tbody>
          {part.schema.map((row, index) => (
            <tr key={index}>
              <th scope="row">{row.what}</th>
              <td>{row.a}</td>
              <td>{row.b}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <More count={part.schema_total - part.schema.length} trans={trans} />
    </section>
  );
}

function Statistics(props: IPartProps & { names: INames }): JSX.Element | null {
  const { part, names, trans } = props;
  if (part.statistics.length === 0) {
    return null;
  }
  return (
    <section>
      <h4>{trans.__('Columns')}</h4>
      <table className="jp-mlops-mod-figures">
        <Head first={[trans.__('Column'), trans.__('Figure')]} names={names} />
        <tbody>
          {part.statistics.map((row, index) => (
            <tr key={index}>
              {/* A column is named once, above all its figures. */}
              <th scope="row">
                {part.statistics[index - 1]?.column === row.column ? '' : row.column}
              </th>
              <td>{row.figure}</td>
              <td>{plainTime(row.a)}</td>
              <td>{plainTime(row.b)}</td>
            </tr>
          ))}
        </tbody>
      </table>
      <More count={part.statistics_total - part.statistics.length} trans={trans} />
    </section>
  );
}

function Head(props: { first: string[]; names: INames }): JSX.Element {
  return (
    <thead>
      <tr>
        {props.first.map((label, index) =>
          label === '' ? (
            <td key={index} />
          ) : (
            <th key={index} scope="col">
              {label}
            </th>
          )
        )}
        <th scope="col" className="jp-mlops-mod-a">
          {props.names.a}
        </th>
        <th scope="col" className="jp-mlops-mod-b">
          {props.names.b}
        </th>
      </tr>
    </thead>
  );
}

/** One line a changed cell, one a row that was added or removed. */
function Rows(props: {
  rows: ISnapshotRow[];
  names: INames;
  busy: boolean;
  trans: TranslationBundle;
}): JSX.Element {
  const { rows, trans } = props;
  return (
    <table className="jp-mlops-snapshot-rows" aria-busy={props.busy}>
      <Head first={[trans.__('Change'), trans.__('Row'), trans.__('Column')]} names={props.names} />
      <tbody>
        {rows.map((row, index) =>
          row.change === 'changed' ? (
            <ChangedRow key={index} row={row} trans={trans} />
          ) : (
            <WholeRow key={index} row={row} trans={trans} />
          )
        )}
      </tbody>
    </table>
  );
}

function ChangedRow(props: { row: ISnapshotRow; trans: TranslationBundle }): JSX.Element {
  const { row, trans } = props;
  const lines = row.cells.length + (row.more > 0 ? 1 : 0);
  return (
    <>
      {row.cells.map((cell, index) => (
        <tr key={index} className="jp-mlops-mod-changed">
          {index === 0 && (
            <>
              <td rowSpan={lines}>
                <Sign change={row.change} trans={trans} />
              </td>
              <th scope="row" rowSpan={lines}>
                {row.label}
              </th>
            </>
          )}
          <td>{cell.column}</td>
          <td className="jp-mlops-cell">{cell.a}</td>
          <td className="jp-mlops-cell">{cell.b}</td>
        </tr>
      ))}
      {row.more > 0 && (
        <tr className="jp-mlops-mod-changed">
          <td colSpan={3}>
            <More count={row.more} trans={trans} />
          </td>
        </tr>
      )}
    </>
  );
}

function WholeRow(props: { row: ISnapshotRow; trans: TranslationBundle }): JSX.Element {
  const { row, trans } = props;
  const { text, more } = rowText(row);
  return (
    <tr className={`jp-mlops-mod-${row.change}`}>
      <td>
        <Sign change={row.change} trans={trans} />
      </td>
      <th scope="row">{row.label}</th>
      <td colSpan={3} className="jp-mlops-cell" title={rowText(row, row.cells.length).text}>
        {text}
        {more > 0 && <span className="jp-mlops-muted"> {trans.__('and %1 more', more)}</span>}
      </td>
    </tr>
  );
}

function Sign(props: { change: ISnapshotRow['change']; trans: TranslationBundle }): JSX.Element {
  const { change, trans } = props;
  switch (change) {
    case 'added':
      return <>+ {trans.__('added')}</>;
    case 'removed':
      return <>− {trans.__('removed')}</>;
    case 'changed':
      return <>~ {trans.__('changed')}</>;
  }
}

function Lines(props: IPartProps): JSX.Element | null {
  const { part, trans } = props;
  return part.lines === '' ? null : (
    <>
      <pre className="jp-mlops-diff" tabIndex={0}>
        {diffLines(part.lines).map((line, index) => (
          <span key={index} className={`jp-mlops-mod-${line.kind}`}>
            {line.text}
            {'\n'}
          </span>
        ))}
      </pre>
      {part.cut && <p className="jp-mlops-muted">{trans.__('and more lines')}</p>}
    </>
  );
}

function More(props: { count: number; trans: TranslationBundle }): JSX.Element | null {
  const { count, trans } = props;
  return count > 0 ? (
    <p className="jp-mlops-muted">{trans.__('and %1 more', count.toLocaleString())}</p>
  ) : null;
}
