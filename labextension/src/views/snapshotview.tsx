import { Dialog, Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon, closeIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import { formatAge, formatNumber, formatSize, formatTime, shorten } from '../model/format';
import type { IApi } from '../model/port';
import {
  PAGE_COLUMNS,
  distinctText,
  figureText,
  hasMore,
  quantiles,
  restoreCode,
  shapeOf,
  topValues
} from '../model/snapshots';
import type { ISnapshot, ISnapshotColumn, ISnapshotDetails, ISnapshotRuns } from '../model/types';
import { useNow } from './hooks';
import { Pager } from './pager';
import { Chip, Command, IconButton, TextButton } from './parts';

/** What can be done from the details; each closes them. */
export interface ISnapshotDetailActions {
  insert: (which: { name: string; version: number }) => void;
  compare: (a: string, b: string) => void;
  /** Show a run in the panel. */
  showRun: ((run: string) => void) | null;
}

interface IDetailProps {
  api: IApi;
  path: string;
  first: ISnapshotDetails;
  actions: ISnapshotDetailActions;
  trans: TranslationBundle;
}

/** Show one version; rejects with an `ApiError`. */
export async function showSnapshot(
  api: IApi,
  path: string,
  spec: string,
  actions: ISnapshotDetailActions,
  trans: TranslationBundle
): Promise<void> {
  const first = await api.snapshot(path, spec, { offset: 0, limit: PAGE_COLUMNS });
  // A dialog waits for the one before it to close, so that nothing here may open another.
  const closing =
    <A extends unknown[]>(action: (...args: A) => void) =>
    (...args: A) => {
      dialog.resolve();
      action(...args);
    };
  const dialog = new Dialog({
    title: first.version.spec,
    body: (
      <SnapshotView
        api={api}
        path={path}
        first={first}
        actions={{
          insert: closing(actions.insert),
          compare: closing(actions.compare),
          showRun: actions.showRun && closing(actions.showRun)
        }}
        trans={trans}
      />
    ),
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
  await dialog.launch();
}

function SnapshotView(props: IDetailProps): JSX.Element {
  const { api, path, first, actions, trans } = props;
  const { version, parent } = first;
  return (
    <div
      className="jp-mlops-compare jp-mlops-snapshotview"
      tabIndex={0}
      role="region"
      aria-label={version.spec}
    >
      {version.message && <p className="jp-mlops-snapshot-summary">{version.message}</p>}
      <Facts details={first} trans={trans} />
      <Tags api={api} path={path} version={version} trans={trans} />
      <Command text={restoreCode(version)} trans={trans} />
      <div className="jp-mlops-buttons">
        <TextButton
          className="jp-mlops-insert-restore"
          label={trans.__('Insert into the notebook')}
          onClick={() => actions.insert(version)}
        />
        {parent !== null && (
          <TextButton
            className="jp-mlops-compare-parent"
            label={trans.__('Compare with %1', shorten(parent, 40))}
            onClick={() => actions.compare(parent, version.spec)}
          />
        )}
      </div>
      <Columns api={api} path={path} first={first} trans={trans} />
      <UsedBy api={api} path={path} spec={version.spec} showRun={actions.showRun} trans={trans} />
    </div>
  );
}

function Facts(props: { details: ISnapshotDetails; trans: TranslationBundle }): JSX.Element {
  const { details, trans } = props;
  const { version } = details;
  const facts = [
    version.columns === null ? shapeOf(version) : `${version.kind}, ${shapeOf(version)}`,
    trans.__('holds %1', formatSize(version.size)),
    trans.__('%1 new on disk', formatSize(version.added)),
    formatTime(version.created),
    version.automatic ? trans.__('made by itself for a run') : null
  ].filter(Boolean);
  return (
    <>
      <p>{facts.join(' · ')}</p>
      <p className="jp-mlops-muted">
        {details.index !== '' && <>{trans.__('Index: %1', details.index)} · </>}
        <code title={version.digest}>{shorten(version.digest, 24)}</code>
      </p>
    </>
  );
}

/** Its tags, each with a way to take it away and, for a while, to put it back. */
function Tags(props: {
  api: IApi;
  path: string;
  version: ISnapshot;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { api, path, version, trans } = props;
  const [tags, setTags] = React.useState(version.tags);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const work = (change: Promise<{ version: ISnapshot }>) =>
    change
      .then(answer => setTags(answer.version.tags))
      .catch(cause => setFailure(asApiError(cause)));
  const untag = (tag: string) =>
    work(
      api.untagSnapshot(path, version.name, tag).then(answer => {
        const id = Notification.success(
          shorten(trans.__('%1 is not tagged %2 any more.', version.spec, tag)),
          {
            autoClose: 15000,
            actions: [
              {
                label: trans.__('Undo'),
                callback: () => {
                  Notification.dismiss(id);
                  void work(api.tagSnapshot(path, version.name, version.version, tag));
                }
              }
            ]
          }
        );
        return answer;
      })
    );
  return tags.length === 0 && failure === null ? null : (
    <p className="jp-mlops-snapshot-tags">
      {tags.map(tag => (
        <Chip key={tag} kind="alias">
          {tag}
          <IconButton
            icon={closeIcon}
            label={trans.__('Take the tag %1 away', tag)}
            onClick={() => void untag(tag)}
          />
        </Chip>
      ))}
      {failure && <span role="alert">{failure.message}</span>}
    </p>
  );
}

function Columns(props: {
  api: IApi;
  path: string;
  first: ISnapshotDetails;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { api, path, first, trans } = props;
  const [page, setPage] = React.useState({ offset: 0, columns: first.columns });
  const [busy, setBusy] = React.useState(false);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const go = (offset: number) => {
    setBusy(true);
    setFailure(null);
    api
      .snapshot(path, first.version.spec, { offset, limit: PAGE_COLUMNS })
      .then(({ columns }) => setPage({ offset, columns }))
      .catch(cause => setFailure(asApiError(cause)))
      .finally(() => setBusy(false));
  };
  if (first.total === 0) {
    return null;
  }
  return (
    <section>
      <h4>
        {first.version.rows === null || first.version.columns === null
          ? trans.__('Values')
          : trans.__('Columns')}
      </h4>
      <Pager
        offset={page.offset}
        shown={page.columns.length}
        size={PAGE_COLUMNS}
        total={first.total}
        busy={busy}
        label={trans.__('Pages of columns')}
        trans={trans}
        onGo={go}
      />
      {failure && (
        <p className="jp-mlops-item-error" role="alert">
          {failure.message}
        </p>
      )}
      <table className="jp-mlops-snapshot-columns" aria-busy={busy}>
        <thead>
          <tr>
            <th scope="col">{trans.__('Column')}</th>
            <th scope="col">{trans.__('Type')}</th>
            <th scope="col" className="jp-mlops-mod-number">
              {trans.__('Missing')}
            </th>
            <th scope="col" className="jp-mlops-mod-number">
              {trans.__('Distinct')}
            </th>
            <th scope="col" className="jp-mlops-mod-number">
              {trans.__('Least')}
            </th>
            <th scope="col" className="jp-mlops-mod-number">
              {trans.__('Median')}
            </th>
            <th scope="col" className="jp-mlops-mod-number">
              {trans.__('Greatest')}
            </th>
            <th scope="col" className="jp-mlops-mod-number">
              {trans.__('Mean')}
            </th>
          </tr>
        </thead>
        <tbody>
          {page.columns.map((column, index) => (
            <Column key={`${page.offset + index}`} column={column} trans={trans} />
          ))}
        </tbody>
      </table>
    </section>
  );
}

function Column(props: { column: ISnapshotColumn; trans: TranslationBundle }): JSX.Element {
  const { column, trans } = props;
  const [open, setOpen] = React.useState(false);
  const id = React.useId();
  const Caret = open ? caretDownIcon : caretRightIcon;
  const figures = [column.min, column.quantiles['0.5'], column.max, column.mean];
  return (
    <>
      <tr>
        <th scope="row">
          {hasMore(column) ? (
            <button
              type="button"
              className="jp-mlops-card-fold"
              aria-expanded={open}
              aria-controls={id}
              onClick={() => setOpen(!open)}
            >
              <Caret.react tag="span" height="16px" width="16px" />
              <span>{column.name}</span>
            </button>
          ) : (
            <span className="jp-mlops-snapshot-plain">{column.name}</span>
          )}
        </th>
        <td>{column.type}</td>
        <td className="jp-mlops-mod-number">
          {column.missing === null ? '–' : column.missing.toLocaleString()}
        </td>
        <td className="jp-mlops-mod-number">{distinctText(column)}</td>
        {figures.map((value, index) => (
          <td key={index} className="jp-mlops-mod-number">
            {figureText(value)}
          </td>
        ))}
      </tr>
      {open && (
        <tr id={id}>
          <td colSpan={8}>
            <ColumnMore column={column} trans={trans} />
          </td>
        </tr>
      )}
    </>
  );
}

function ColumnMore(props: { column: ISnapshotColumn; trans: TranslationBundle }): JSX.Element {
  const { column, trans } = props;
  const marks = quantiles(column);
  const top = topValues(column);
  const { lengths } = column;
  return (
    <div className="jp-mlops-snapshot-more">
      {top.length > 0 && (
        <table>
          <caption>{trans.__('Most frequent')}</caption>
          <tbody>
            {top.map((item, index) => (
              <tr key={index}>
                <th scope="row">{item.value}</th>
                <td className="jp-mlops-mod-number">{item.count.toLocaleString()}</td>
                <td>
                  <meter
                    min={0}
                    max={1}
                    value={item.part}
                    aria-label={trans.__('%1 percent', Math.round(item.part * 100))}
                  />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
      {marks.length > 0 && (
        <table>
          <caption>{trans.__('Quantiles')}</caption>
          <tbody>
            {marks.map(([label, value]) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td className="jp-mlops-mod-number">{value}</td>
              </tr>
            ))}
            {column.std !== null && (
              <tr>
                <th scope="row">{trans.__('deviation')}</th>
                <td className="jp-mlops-mod-number">{figureText(column.std)}</td>
              </tr>
            )}
          </tbody>
        </table>
      )}
      {lengths && (
        <table>
          <caption>{trans.__('Length of the texts, in %1', lengths.unit)}</caption>
          <tbody>
            {(
              [
                [trans.__('least'), lengths.min],
                [trans.__('mean'), lengths.mean],
                [trans.__('greatest'), lengths.max]
              ] as const
            ).map(([label, value]) => (
              <tr key={label}>
                <th scope="row">{label}</th>
                <td className="jp-mlops-mod-number">{formatNumber(value)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </div>
  );
}

/** The runs that used it; looked up after the rest is shown. */
function UsedBy(props: {
  api: IApi;
  path: string;
  spec: string;
  showRun: ((run: string) => void) | null;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { api, path, spec, showRun, trans } = props;
  const [found, setFound] = React.useState<ISnapshotRuns | null>(null);
  const now = useNow();
  React.useEffect(() => {
    let there = true;
    api
      .snapshotRuns(path, spec)
      .then(answer => there && setFound(answer))
      .catch(() => undefined); // The rest of what is shown does not need it.
    return () => {
      there = false;
    };
  }, [api, path, spec]);
  if (found === null || found.runs.length === 0) {
    return null;
  }
  return (
    <section>
      <h4>{trans.__('Used by')}</h4>
      <ul className="jp-mlops-snapshot-uses">
        {found.runs.map(run => (
          <li key={run.run_id}>
            {showRun ? (
              <button type="button" className="jp-mlops-link" onClick={() => showRun(run.run_id)}>
                {run.name}
              </button>
            ) : (
              run.name
            )}{' '}
            <span className="jp-mlops-muted">
              {trans.__('as %1', run.input)}
              {run.started !== null && ` · ${formatAge(run.started, now)}`}
              {run.status !== 'FINISHED' && ` · ${run.status.toLowerCase()}`}
            </span>
          </li>
        ))}
      </ul>
    </section>
  );
}
