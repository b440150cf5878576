import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import { formatSize } from '../model/format';
import type { IApi } from '../model/port';
import { largestFirst } from '../model/snapshots';
import type { ISnapshotUsage } from '../model/types';
import { TextButton } from './parts';

interface ISpaceProps {
  api: IApi;
  path: string;
  trans: TranslationBundle;
}

/** A button that shows what the project's snapshots take on disk. */
export function Space(props: ISpaceProps): JSX.Element {
  const { api, path, trans } = props;
  const [busy, setBusy] = React.useState(false);
  const [failure, setFailure] = React.useState<ApiError | null>(null);
  const show = () => {
    setBusy(true);
    setFailure(null);
    api
      .snapshotUsage(path)
      .then(usage => void showUsage(usage, trans))
      .catch(cause => setFailure(asApiError(cause)))
      .finally(() => setBusy(false));
  };
  return (
    <div className="jp-mlops-snapshot-space">
      <TextButton label={trans.__('Space on disk')} disabled={busy} onClick={show} />
      {failure && (
        <p className="jp-mlops-item-error" role="alert">
          {failure.message} {failure.hint}
        </p>
      )}
    </div>
  );
}

async function showUsage(usage: ISnapshotUsage, trans: TranslationBundle): Promise<void> {
  await showDialog({
    title: trans.__('Snapshots: space on disk'),
    body: <Usage usage={usage} trans={trans} />,
    buttons: [Dialog.okButton({ label: trans.__('Close') })]
  });
}

function Usage(props: { usage: ISnapshotUsage; trans: TranslationBundle }): JSX.Element {
  const { usage, trans } = props;
  return (
    <div
      className="jp-mlops-compare jp-mlops-snapshotspace"
      tabIndex={0}
      role="region"
      aria-label={trans.__('Space on disk')}
    >
      <p>
        {trans.__(
          '%1 on disk with the index; %2 more if versions shared nothing.',
          formatSize(usage.total),
          formatSize(usage.saved)
        )}
      </p>
      {usage.dead > 0 && (
        <p className="jp-mlops-muted">
          {trans.__('No version needs %1 of it; this frees them:', formatSize(usage.dead))}{' '}
          <code>jupyter mlops snapshots gc</code>
        </p>
      )}
      {usage.unreadable.length > 0 && (
        <p className="jp-mlops-item-error" role="alert">
          {trans.__('Damaged: %1.', usage.unreadable.join(', '))}{' '}
          <code>jupyter mlops snapshots verify</code>
        </p>
      )}
      <table>
        <thead>
          <tr>
            <th scope="col">{trans.__('Name')}</th>
            <Figure head>{trans.__('Versions')}</Figure>
            <Figure head>{trans.__('In memory')}</Figure>
            <Figure head>{trans.__('Stored')}</Figure>
            <Figure head title={trans.__('What no other name uses')}>
              {trans.__('Its own')}
            </Figure>
            <Figure head title={trans.__('What its versions share')}>
              {trans.__('Saved')}
            </Figure>
          </tr>
        </thead>
        <tbody>
          {largestFirst(usage).map(row => (
            <tr key={row.name}>
              <th scope="row">{row.name}</th>
              <Figure>
                {row.automatic > 0
                  ? trans.__('%1 (%2 for runs)', row.versions, row.automatic)
                  : row.versions}
              </Figure>
              <Figure>{formatSize(row.raw)}</Figure>
              <Figure>{formatSize(row.stored)}</Figure>
              <Figure>{formatSize(row.own)}</Figure>
              <Figure>{formatSize(row.saved)}</Figure>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Figure(props: { head?: boolean; title?: string; children: React.ReactNode }): JSX.Element {
  const className = 'jp-mlops-mod-number';
  return props.head ? (
    <th scope="col" className={className} title={props.title}>
      {props.children}
    </th>
  ) : (
    <td className={className}>{props.children}</td>
  );
}
