import type { TranslationBundle } from '@jupyterlab/translation';
import { refreshIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { installCommand } from '../model/kernel';
import type { Memory } from '../model/memory';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import type { IProject } from '../model/types';
import { useStore } from './hooks';
import { Banner, Chip, Command, IconButton, TextButton } from './parts';

interface IHeaderProps {
  mlops: MLops;
  memory: Memory;
  trans: TranslationBundle;
  /** Ask the tracking server again, then redraw. */
  onSync: () => Promise<void>;
  /** Ask the kernel again whether it has the package. */
  onCheckKernel: () => void;
}

/** What stands above the sections: which project, and what is wrong with its surroundings. */
export function Header(props: IHeaderProps): JSX.Element {
  const { mlops, memory, trans } = props;
  const state = useStore(mlops);
  const [busy, setBusy] = React.useState(false);
  const sync = () => {
    setBusy(true);
    void props.onSync().finally(() => setBusy(false));
  };
  return (
    <div className="jp-mlops-header">
      {state.view !== 'server_missing' && (
        <div className="jp-mlops-header-row">
          <Switcher mlops={mlops} memory={memory} trans={trans} />
          {state.project && <Waiting project={state.project} trans={trans} />}
          <IconButton
            icon={refreshIcon}
            className={`jp-mlops-refresh ${busy ? 'jp-mlops-mod-busy' : ''}`}
            label={trans.__('Refresh from the tracking server')}
            disabled={busy || state.project === null}
            onClick={sync}
          />
        </div>
      )}
      {state.kernel.kind === 'missing' && (
        <KernelMissing
          executable={state.kernel.executable}
          trans={trans}
          onCheck={props.onCheckKernel}
        />
      )}
      {state.view === 'ready' && state.project && (
        <TrackingBanner
          key={state.project.key}
          project={state.project}
          memory={memory}
          trans={trans}
          onRetry={sync}
        />
      )}
    </div>
  );
}

const FOLLOW = '';

/** Which project is shown: the active notebook's, or one that was chosen. */
function Switcher(props: { mlops: MLops; memory: Memory; trans: TranslationBundle }): JSX.Element {
  const { mlops, memory, trans } = props;
  const state = useStore(mlops);
  const listed = useStore(mlops.projects).data ?? [];
  const status = useStatus(state.project);
  const here = status?.project ?? state.unborn;
  const pinned = state.pinned;
  const options: IProject[] =
    pinned === null || listed.some(project => project.key === pinned.key)
      ? listed
      : [pinned, ...listed];
  const follow =
    pinned === null && here
      ? trans.__('%1 (follows the notebook)', here.name)
      : trans.__('Follow the notebook');
  return (
    <select
      className="jp-mlops-switcher"
      aria-label={trans.__('Project')}
      title={here ? `${here.name}\n${here.root}` : trans.__('Project')}
      value={pinned?.key ?? FOLLOW}
      onChange={event => {
        const chosen = options.find(project => project.key === event.target.value) ?? null;
        memory.pin(chosen);
        mlops.pin(chosen);
      }}
    >
      <option value={FOLLOW}>{follow}</option>
      {options.map(project => (
        <option key={project.key} value={project.key}>
          {project.path === '' ? project.name : `${project.name} · ${project.path}`}
        </option>
      ))}
    </select>
  );
}

const NOTHING = { subscribe: () => () => undefined, get: () => null };

function useStatus(project: ProjectData | null) {
  return useStore<ReturnType<ProjectData['status']['get']> | null>(project?.status ?? NOTHING)
    ?.data;
}

/** How many runs are journalled here and not in the tracking store yet. */
function Waiting(props: { project: ProjectData; trans: TranslationBundle }): JSX.Element | null {
  const waiting = useStatus(props.project)?.waiting ?? 0;
  if (waiting === 0) {
    return null;
  }
  return (
    <Chip
      kind="busy"
      title={props.trans._n(
        '%1 run is safe in the journal and waits for delivery to the tracking store',
        '%1 runs are safe in the journal and wait for delivery to the tracking store',
        waiting
      )}
    >
      <span className="jp-mlops-waiting">
        {props.trans._n('%1 waiting', '%1 waiting', waiting)}
      </span>
    </Chip>
  );
}

/** The tracking server's trouble, or that it may be told more; cached data stays below. */
function TrackingBanner(props: {
  project: ProjectData;
  memory: Memory;
  trans: TranslationBundle;
  onRetry: () => void;
}): JSX.Element | null {
  const { memory, trans } = props;
  const status = useStatus(props.project);
  const { dismissed } = useStore(memory);
  const error = status?.tracking.error ?? null;
  const troubled = error !== null;
  React.useEffect(() => {
    if (status && !troubled) {
      memory.undismiss('tracking:');
    }
  }, [memory, status, troubled]);
  if (!status) {
    return null;
  }
  if (error !== null) {
    const what = `tracking:${error.message}`;
    if (dismissed.includes(what)) {
      return null;
    }
    return (
      <Banner
        kind="warn"
        className="jp-mlops-tracking-error"
        trans={trans}
        onClose={() => memory.dismiss(what)}
      >
        <div className="jp-mlops-banner-title">
          {trans.__('The tracking server is not reachable')}
        </div>
        <div>{error.message}</div>
        <div className="jp-mlops-banner-note">
          {error.hint ?? trans.__('New runs are kept here until it answers.')}{' '}
          {trans.__('What is below is from the last refresh.')}
        </div>
        <div className="jp-mlops-buttons">
          <TextButton
            className="jp-mlops-retry"
            label={trans.__('Retry')}
            onClick={props.onRetry}
          />
        </div>
      </Banner>
    );
  }
  const consent = `consent:${status.tracking.uri}`;
  if (
    !status.tracking.local &&
    status.tracking.level === 'minimal' &&
    !dismissed.includes(consent)
  ) {
    return (
      <Banner
        kind="info"
        className="jp-mlops-consent"
        trans={trans}
        onClose={() => memory.dismiss(consent)}
      >
        <div>
          {trans.__(
            'Only code, parameters, metrics and digests are sent to %1. To send models too, run:',
            status.tracking.uri
          )}
        </div>
        <Command text="jupyter mlops consent" trans={trans} />
      </Banner>
    );
  }
  return null;
}

/** The notebook's Python has no jupyter_mlops: the one command that puts it there. */
function KernelMissing(props: {
  executable: string;
  trans: TranslationBundle;
  onCheck: () => void;
}): JSX.Element {
  const { trans } = props;
  return (
    <Banner kind="warn" className="jp-mlops-kernel-missing" trans={trans}>
      <div className="jp-mlops-banner-title">{trans.__('This notebook’s kernel cannot track')}</div>
      <div>{trans.__('Its Python does not have jupyter_mlops. Install it there:')}</div>
      <Command text={installCommand(props.executable)} trans={trans} />
      <div className="jp-mlops-buttons">
        <TextButton label={trans.__('Check again')} onClick={props.onCheck} />
      </div>
    </Banner>
  );
}
