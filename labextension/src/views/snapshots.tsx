import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon, deleteIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { aliasIcon, insertIcon } from '../icons';
import { formatAge, formatSize, formatTime, shorten } from '../model/format';
import type { Memory } from '../model/memory';
import type { MLops } from '../model/mlops';
import type { ProjectData } from '../model/project';
import { choose } from '../model/runs';
import {
  MOST_VERSIONS,
  SHOWN_NAMES,
  pairOf,
  restoreCode,
  shapeOf,
  snapshotId
} from '../model/snapshots';
import type { ISnapshot, ISnapshotName } from '../model/types';
import type { SnapshotActions } from './actions';
import { CompareBar } from './comparebar';
import { Confirm, useConfirming } from './confirming';
import { watchDrag } from './drag';
import { FilterBox } from './filterbox';
import { useNow, useStore } from './hooks';
import {
  Awaited,
  Chip,
  Command,
  ErrorMessage,
  Failure,
  IconButton,
  Message,
  TextButton
} from './parts';
import { removeSnapshot, tagSnapshot } from './snapshotchanges';
import { showSnapshotDiff } from './snapshotdiff';
import { Space } from './snapshotspace';

/** Of those there when the section is first shown, so many start unfolded; so does what is new. */
const FEW_NAMES = 4;

/** How long typing rests before the server is asked, in milliseconds. */
const TYPING_MS = 200;

interface ISnapshotsProps {
  mlops: MLops;
  memory: Memory;
  actions: SnapshotActions;
  trans: TranslationBundle;
}

/** The section "Snapshots": names of data, and their versions. */
export function Snapshots(props: ISnapshotsProps): JSX.Element {
  const { project } = useStore(props.mlops);
  return (
    <div className="jp-mlops-snapshots">
      {project && <SnapshotsOf key={project.key} {...props} project={project} />}
    </div>
  );
}

function SnapshotsOf(props: ISnapshotsProps & { project: ProjectData }): JSX.Element {
  const { mlops, memory, actions, project, trans } = props;
  const { data, error } = useStore(project.snapshots);
  const { open } = useStore(memory);
  const now = useNow();
  const [chosen, setChosen] = React.useState<string[]>([]);
  // Decided once for each name: one that comes must not fold the others.
  const unfolded = React.useRef(new Map<string, boolean>());
  // A filter that finds nothing, or is being cleared, keeps its box.
  const seen = React.useRef(false);
  const retry = () => void project.snapshots.retry();
  if (data === null) {
    return <Awaited error={error} rows={2} trans={trans} onRetry={retry} />;
  }
  const { wanted } = project;
  const nothing = data.names.length === 0 && wanted.search === '';
  seen.current ||= !nothing;
  const pair = pairOf(data.names, chosen);
  const compare = async (shown: () => void) => {
    if (pair !== null) {
      const [a, b] = pair;
      await showSnapshotDiff(mlops.api, project.path, a.spec, b.spec, trans, shown);
    }
  };
  return (
    <>
      {error && <ErrorMessage compact error={error} trans={trans} onRetry={retry} />}
      {seen.current && <NameFilter project={project} trans={trans} />}
      {(data.hidden > 0 || wanted.automatic) && <Automatic {...{ project, data, trans }} />}
      {nothing && <Empty trans={trans} />}
      {data.names.length === 0 && wanted.search !== '' && (
        <p className="jp-mlops-item jp-mlops-muted" role="status">
          {trans.__('No snapshot matches “%1”', wanted.search)}
        </p>
      )}
      {(data.names.length > 1 || (data.names[0]?.versions.length ?? 0) > 1) && (
        <CompareBar
          className="jp-mlops-compare-snapshots"
          pair={pair && pairText(pair, trans)}
          title={pair === null ? undefined : `${pair[0].spec}, ${pair[1].spec}`}
          compare={compare}
          trans={trans}
        />
      )}
      <ul className="jp-mlops-list" aria-label={trans.__('Snapshots')}>
        {data.names.map((item, index) => {
          const id = snapshotId(item.name);
          if (!unfolded.current.has(id)) {
            const automatic = item.versions.every(version => version.automatic);
            unfolded.current.set(id, !automatic && index < FEW_NAMES);
          }
          const shown =
            wanted.search !== '' ? true : (open[id] ?? unfolded.current.get(id) === true);
          return (
            <NameItem
              key={item.name}
              item={item}
              open={shown}
              onToggle={() => memory.setOpen(id, !shown)}
              trans={trans}
            >
              {item.versions.map(version => (
                <VersionItem
                  key={version.version}
                  version={version}
                  chosen={chosen.includes(version.spec)}
                  onChoose={() => setChosen(choose(chosen, version.spec))}
                  {...{ mlops, project, actions, now, trans }}
                />
              ))}
              <Older item={item} project={project} trans={trans} />
            </NameItem>
          );
        })}
      </ul>
      {data.total > data.names.length && (
        <p className="jp-mlops-item-note jp-mlops-item">
          {trans.__(
            'The newest %1 of %2; the filter finds the others.',
            SHOWN_NAMES,
            data.total.toLocaleString()
          )}
        </p>
      )}
      {data.names.length > 0 && <Space api={mlops.api} path={project.path} trans={trans} />}
    </>
  );
}

function Empty(props: { trans: TranslationBundle }): JSX.Element {
  const { trans } = props;
  return (
    <Message className="jp-mlops-empty" title={trans.__('No snapshots yet')}>
      <p>
        {trans.__('Keep a frame, an array or a file as a version, for the price of what changed:')}
      </p>
      <Command text='%snapshot df -m "as it came"' trans={trans} />
    </Message>
  );
}

/** What is made by itself for runs stays out of the way until it is asked for. */
function Automatic(props: {
  project: ProjectData;
  data: { hidden: number };
  trans: TranslationBundle;
}): JSX.Element {
  const { project, data, trans } = props;
  // The tick shows at once; what it asks for comes with the next answer.
  const [automatic, setAutomatic] = React.useState(project.wanted.automatic);
  return (
    <div className="jp-mlops-snapshot-automatic jp-mlops-muted">
      <label>
        <input
          type="checkbox"
          checked={automatic}
          onChange={() => {
            setAutomatic(!automatic);
            void project.want({ automatic: !automatic });
          }}
        />
        {automatic
          ? trans.__('with those made for runs')
          : trans._n('also the one made for a run', 'also the %1 made for runs', data.hidden)}
      </label>
    </div>
  );
}

/** What is typed is asked for when the typing rests. */
function NameFilter(props: { project: ProjectData; trans: TranslationBundle }): JSX.Element {
  const { project, trans } = props;
  const [value, setValue] = React.useState(project.wanted.search);
  React.useEffect(() => {
    const timer = setTimeout(() => void project.want({ search: value.trim() }), TYPING_MS);
    return () => clearTimeout(timer);
  }, [value, project]);
  return (
    <FilterBox
      value={value}
      onChange={setValue}
      label={trans.__('Filter snapshots')}
      placeholder={trans.__('Filter by name, tag or message')}
      trans={trans}
    />
  );
}

function NameItem(props: {
  item: ISnapshotName;
  open: boolean;
  onToggle: () => void;
  trans: TranslationBundle;
  children: React.ReactNode;
}): JSX.Element {
  const { item, open, trans } = props;
  const id = React.useId();
  const Caret = open ? caretDownIcon : caretRightIcon;
  return (
    <li className="jp-mlops-snapshot-name" data-snapshot-name={item.name}>
      <button
        type="button"
        className="jp-mlops-snapshot-head"
        aria-expanded={open}
        aria-controls={id}
        title={item.name}
        onClick={props.onToggle}
      >
        <Caret.react tag="span" className="jp-mlops-caret" height="16px" width="16px" />
        <span className="jp-mlops-group-name">{item.name}</span>
        <span className="jp-mlops-group-count">
          {trans._n('%1 version', '%1 versions', item.count)}
        </span>
      </button>
      <ul id={id} className="jp-mlops-list" aria-label={item.name} hidden={!open}>
        {open && props.children}
      </ul>
    </li>
  );
}

function Older(props: {
  item: ISnapshotName;
  project: ProjectData;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { item, project, trans } = props;
  const more = item.count - item.versions.length;
  if (more <= 0) {
    return null;
  }
  return (
    <li className="jp-mlops-item jp-mlops-snapshot-older">
      {project.wanted.each < MOST_VERSIONS ? (
        <TextButton
          label={trans._n('%1 older version', '%1 older versions', more)}
          onClick={() => void project.want({ each: MOST_VERSIONS })}
        />
      ) : (
        trans.__('%1 older: jupyter mlops snapshots ls', more.toLocaleString())
      )}
    </li>
  );
}

function VersionItem(props: {
  version: ISnapshot;
  mlops: MLops;
  project: ProjectData;
  actions: SnapshotActions;
  chosen: boolean;
  onChoose: () => void;
  now: number;
  trans: TranslationBundle;
}): JSX.Element {
  const { version, mlops, project, actions, trans } = props;
  const item = useConfirming();
  const { spec } = version;
  return (
    <li
      className="jp-mlops-item jp-mlops-snapshot"
      data-snapshot={spec}
      onKeyDown={item.onKeyDown}
      onPointerDown={event => {
        if (!(event.target as Element).closest('button, input')) {
          watchDrag(event.nativeEvent, spec, () => Promise.resolve(restoreCode(version)));
        }
      }}
    >
      <div className="jp-mlops-item-line">
        <input
          type="checkbox"
          className="jp-mlops-snapshot-choose"
          aria-label={trans.__('Compare %1', spec)}
          checked={props.chosen}
          onChange={props.onChoose}
        />
        <button
          type="button"
          className="jp-mlops-link jp-mlops-snapshot-open"
          title={trans.__('Show what %1 holds', spec)}
          aria-label={describe(version, trans)}
          onClick={() => actions.show(spec)}
        >
          v{version.version}
        </button>
        {version.tags.map(tag => (
          <Chip
            key={tag}
            kind="alias"
            title={trans.__('Tag %1: use it as %2@%1', tag, version.name)}
          >
            {tag}
          </Chip>
        ))}
        {version.automatic && (
          <Chip kind="plain" title={trans.__('Made by itself for a run')}>
            {trans.__('run')}
          </Chip>
        )}
        <span className="jp-mlops-spacer" />
        {item.stage === 'confirm' ? (
          <Confirm
            className="jp-mlops-remove-confirm"
            label={trans.__('Remove it')}
            onConfirm={() => item.work(() => removeSnapshot(mlops.api, project, version, trans))}
            onDrop={item.drop}
            trans={trans}
          />
        ) : (
          <span className="jp-mlops-run-actions">
            <IconButton
              icon={insertIcon}
              className="jp-mlops-insert"
              label={trans.__('Insert code that restores %1', spec)}
              onClick={() => actions.insert(version)}
            />
            <IconButton
              icon={aliasIcon}
              className="jp-mlops-tag"
              label={trans.__('Tag %1…', spec)}
              disabled={item.stage === 'busy'}
              onClick={() => item.work(() => tagSnapshot(mlops.api, project, version, trans))}
            />
            <IconButton
              icon={deleteIcon}
              className="jp-mlops-remove"
              label={trans.__('Remove %1…', spec)}
              disabled={item.stage === 'busy'}
              onClick={item.ask}
            />
          </span>
        )}
      </div>
      <div className="jp-mlops-item-line jp-mlops-muted">
        <span className="jp-mlops-item-detail">{shapeOf(version)}</span>
        <span
          className="jp-mlops-item-detail"
          title={trans.__(
            '%1 in memory, %2 new on disk',
            formatSize(version.size),
            formatSize(version.added)
          )}
        >
          +{formatSize(version.added)}
        </span>
        <span className="jp-mlops-item-when" title={formatTime(version.created)}>
          {formatAge(version.created, props.now, 'narrow')}
        </span>
      </div>
      {version.message && <div className="jp-mlops-item-note">{version.message}</div>}
      <Failure failure={item.failure} />
    </li>
  );
}

/** Two versions in few words: those of one name by their numbers. */
function pairText([a, b]: [ISnapshot, ISnapshot], trans: TranslationBundle): string {
  return a.name === b.name
    ? trans.__('v%1 and v%2 of %3', a.version, b.version, a.name)
    : trans.__('%1 and %2', shorten(a.spec, 24), shorten(b.spec, 24));
}

function describe(version: ISnapshot, trans: TranslationBundle): string {
  return [
    trans.__('version %1', version.version),
    ...version.tags,
    shapeOf(version),
    trans.__('%1 new on disk', formatSize(version.added)),
    version.message
  ]
    .filter(Boolean)
    .join(', ');
}
