import type { TranslationBundle } from '@jupyterlab/translation';
import { caretDownIcon, caretRightIcon } from '@jupyterlab/ui-components';
import * as React from 'react';

import { aliasIcon, insertIcon } from '../icons';
import { formatAge, formatNumber, formatTime } from '../model/format';
import type { MLops } from '../model/mlops';
import type { IDetailLine, IDetailRow, IGroupRow, ItemRow, IVersionRow, Row } from '../model/rows';
import type { IModelVersion } from '../model/types';
import type { VersionActions } from './actions';
import { watchDrag } from './drag';
import { Chip, CopyButton, IconButton } from './parts';

interface ITreeRowProps<R extends Row = Row> {
  row: R;
  scale: number;
  /** Epoch seconds. */
  now: number;
  active: boolean;
  /** Whether Tab comes here. */
  tabStop: boolean;
  mlops: MLops;
  actions: VersionActions;
  trans: TranslationBundle;
  onActivate: (row: ItemRow) => void;
  onToggle: (row: ItemRow) => void;
  onKeyDown: (row: ItemRow, event: React.KeyboardEvent) => void;
}

/** One row of the tree, redrawn only when something it shows changed. */
export const TreeRow = React.memo(
  function TreeRow(props: ITreeRowProps): JSX.Element {
    const { row } = props;
    switch (row.kind) {
      case 'group':
        return <GroupRow {...props} row={row} />;
      case 'version':
        return <VersionRow {...props} row={row} />;
      case 'detail':
        return <DetailRow {...props} row={row} />;
    }
  },
  (a, b) => sameRow(a.row, b.row) && sameRest(a, b)
);

function sameRow(a: Row, b: Row): boolean {
  if (a.id !== b.id || a.top !== b.top || a.height !== b.height) {
    return false;
  }
  if (a.kind === 'group' && b.kind === 'group') {
    return a.model === b.model && a.expanded === b.expanded && a.size === b.size;
  }
  if (a.kind === 'version' && b.kind === 'version') {
    return (
      a.version === b.version &&
      a.expanded === b.expanded &&
      a.position === b.position &&
      a.size === b.size
    );
  }
  return a.kind === 'detail' && b.kind === 'detail' && a.version === b.version;
}

function sameRest(a: ITreeRowProps, b: ITreeRowProps): boolean {
  return a.scale === b.scale && a.now === b.now && a.active === b.active && a.tabStop === b.tabStop;
}

function place(row: Row, scale: number): React.CSSProperties {
  return { transform: `translateY(${row.top * scale}px)`, height: row.height * scale };
}

/** What every selectable row has: its place in the tree, focus, selection and keys. */
function itemProps(props: ITreeRowProps, row: ItemRow): React.HTMLAttributes<HTMLDivElement> {
  return {
    role: 'treeitem',
    'aria-level': row.kind === 'group' ? 1 : 2,
    'aria-expanded': row.expanded,
    'aria-selected': props.active,
    'aria-posinset': row.position,
    'aria-setsize': row.size,
    tabIndex: props.tabStop ? 0 : -1,
    style: place(row, props.scale),
    onFocus: () => props.onActivate(row),
    onContextMenu: () => props.onActivate(row),
    onKeyDown: event => {
      if (event.target === event.currentTarget) {
        props.onKeyDown(row, event);
      }
    }
  };
}

function Caret(props: { open: boolean }): JSX.Element {
  const Icon = props.open ? caretDownIcon : caretRightIcon;
  return <Icon.react tag="span" className="jp-mlops-caret" height="16px" width="16px" />;
}

function GroupRow(props: ITreeRowProps<IGroupRow>): JSX.Element {
  const { row, trans } = props;
  const { model } = row;
  const count = trans._n('%1 version', '%1 versions', model.versions.length);
  return (
    <div
      {...itemProps(props, row)}
      className={`jp-mlops-row jp-mlops-group ${props.active ? 'jp-mod-selected' : ''}`}
      data-row={row.id}
      data-model={model.name}
      aria-label={`${model.name}, ${count}`}
      title={model.description ? `${model.name}\n${model.description}` : model.name}
      onClick={() => {
        props.onActivate(row);
        props.onToggle(row);
      }}
    >
      <Caret open={row.expanded} />
      <span className="jp-mlops-group-name">{model.name}</span>
      <span className="jp-mlops-group-count">{count}</span>
    </div>
  );
}

function VersionRow(props: ITreeRowProps<IVersionRow>): JSX.Element {
  const { row, mlops, actions, trans } = props;
  const { version } = row;
  const source = sourceOf(version, trans);
  const metric = version.key_metric;
  const label = `${version.name} v${version.version}`;
  return (
    <div
      {...itemProps(props, row)}
      className={`jp-mlops-row jp-mlops-version ${props.active ? 'jp-mod-selected' : ''}`}
      data-row={row.id}
      data-model={version.name}
      data-version={version.version}
      aria-label={describe(version, source, trans)}
      onClick={() => props.onActivate(row)}
      onDoubleClick={() => props.onToggle(row)}
      onPointerDown={event => {
        if (!(event.target as Element).closest('button')) {
          watchDrag(event.nativeEvent, label, () => mlops.code(version.name, version.version));
        }
      }}
    >
      <span
        className="jp-mlops-version-toggle"
        onClick={event => {
          event.stopPropagation();
          props.onActivate(row);
          props.onToggle(row);
        }}
      >
        <Caret open={row.expanded} />
      </span>
      <div className="jp-mlops-version-main">
        <div className="jp-mlops-version-line">
          <span className="jp-mlops-version-number">v{version.version}</span>
          {version.aliases.map(alias => (
            <Chip
              key={alias}
              kind={alias === 'champion' ? 'champion' : 'alias'}
              title={trans.__('Alias %1: use it as %2@%1', alias, version.name)}
            >
              {alias}
            </Chip>
          ))}
          {version.status !== 'READY' && <Chip kind="busy">{version.status.toLowerCase()}</Chip>}
          {metric && (
            <span className="jp-mlops-metric" title={`${metric.name}: ${String(metric.value)}`}>
              <span className="jp-mlops-metric-name">{metric.name}</span>
              <span className="jp-mlops-metric-value">{formatNumber(metric.value)}</span>
            </span>
          )}
        </div>
        <div className="jp-mlops-version-line jp-mlops-muted">
          <span className="jp-mlops-version-source" title={source}>
            {source}
          </span>
          <span className="jp-mlops-version-age" title={formatTime(version.created)}>
            {formatAge(version.created, props.now, 'narrow')}
          </span>
        </div>
      </div>
      <div className="jp-mlops-version-actions">
        <IconButton
          icon={insertIcon}
          className="jp-mlops-insert"
          label={trans.__('Insert code that loads %1', label)}
          tabIndex={-1}
          onClick={() => actions.insert(version)}
        />
        <IconButton
          icon={aliasIcon}
          className="jp-mlops-alias"
          label={trans.__('Set an alias of %1…', label)}
          tabIndex={-1}
          onClick={() => actions.setAlias(version)}
        />
      </div>
    </div>
  );
}

/** Where a version comes from: its run and the notebook or pipeline. */
function sourceOf(version: IModelVersion, trans: TranslationBundle): string {
  const place = version.pipeline
    ? trans.__('pipeline %1', version.pipeline)
    : version.notebook?.split('/').pop();
  const parts = [version.run_name, place].filter(Boolean);
  return parts.length > 0 ? parts.join(' · ') : trans.__('not from a tracked run');
}

function describe(version: IModelVersion, source: string, trans: TranslationBundle): string {
  const parts = [trans.__('version %1', version.version), ...version.aliases];
  if (version.key_metric) {
    parts.push(`${version.key_metric.name} ${formatNumber(version.key_metric.value)}`);
  }
  return [...parts, source].join(', ');
}

function DetailRow(props: ITreeRowProps<IDetailRow>): JSX.Element {
  const { row, trans } = props;
  return (
    <div
      className="jp-mlops-row jp-mlops-detail"
      role="none"
      style={place(row, props.scale)}
      data-row={row.id}
    >
      <dl>
        {row.lines.map(line => (
          <div key={line.name ?? line.label} className="jp-mlops-detail-line">
            <dt>{labelOf(line, trans)}</dt>
            <dd title={line.value}>{line.value}</dd>
            {(line.label === 'uri' || line.label === 'run') && (
              <CopyButton text={line.value} label={trans.__('Copy')} trans={trans} tabIndex={-1} />
            )}
          </div>
        ))}
      </dl>
    </div>
  );
}

function labelOf(line: IDetailLine, trans: TranslationBundle): string {
  switch (line.label) {
    case 'class':
      return trans.__('class');
    case 'run':
      return trans.__('run');
    case 'notebook':
      return trans.__('notebook');
    case 'pipeline':
      return trans.__('pipeline');
    case 'uri':
      return trans.__('URI');
    case 'metric':
      return line.name ?? '';
  }
}
