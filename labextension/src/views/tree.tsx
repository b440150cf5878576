import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { MLops } from '../model/mlops';
import type { ItemRow, Row } from '../model/rows';
import {
  buildRows,
  keepActive,
  keyAction,
  scrollTo,
  totalHeight,
  visibleRange
} from '../model/rows';
import type { IRegisteredModel } from '../model/types';
import type { VersionActions } from './actions';
import { useNow, useViewport } from './hooks';
import { TreeRow } from './treerow';

/** Rows drawn beyond the visible ones, in pixels. */
const OVERSCAN = 200;

interface IModelTreeProps {
  models: IRegisteredModel[];
  mlops: MLops;
  actions: VersionActions;
  trans: TranslationBundle;
  isOpen: (id: string, kind: 'group' | 'version') => boolean;
  setOpen: (id: string, open: boolean) => void;
  /** Row to bring into view when `count` rises. */
  reveal: { id: string; count: number } | null;
}

/**
 * Models and their versions as an ARIA tree with one tab stop.
 *
 * Only the rows near the visible part are in the page; the active one always is, so that focus
 * survives scrolling and refreshes.
 */
export function ModelTree(props: IModelTreeProps): JSX.Element {
  const { models, mlops, actions, trans, isOpen } = props;
  const ref = React.useRef<HTMLDivElement>(null);
  const ruler = React.useRef<HTMLDivElement>(null);
  const viewport = useViewport(ref, ruler);
  const now = useNow();
  const rows = React.useMemo(() => buildRows(models, isOpen), [models, isOpen]);
  const [active, setActive] = React.useState<string | null>(null);
  const { scale } = viewport;

  const before = React.useRef(rows);
  const current = keepActive(before.current, rows, active);
  React.useLayoutEffect(() => {
    before.current = rows;
    if (current !== active) {
      setActive(current);
    }
  }, [rows, current, active]);

  const show = React.useCallback(
    (row: Row) => {
      const element = ref.current;
      if (element !== null) {
        const top = scrollTo(row, element.scrollTop / scale, element.clientHeight / scale);
        element.scrollTop = top * scale;
      }
    },
    [scale]
  );

  const activate = (row: ItemRow) => {
    setActive(row.id);
    mlops.select(
      row.kind === 'version' ? { name: row.version.name, version: row.version.version } : null
    );
  };

  const revealed = React.useRef(0);
  React.useEffect(() => {
    const wanted = props.reveal;
    const row = rows.find((item): item is ItemRow => item.id === wanted?.id);
    if (wanted !== null && row !== undefined && wanted.count !== revealed.current) {
      revealed.current = wanted.count;
      show(row);
      activate(row);
      focusRow(ref.current, row.id);
    }
  });

  const act = (row: ItemRow, event: React.KeyboardEvent) => {
    const action = keyAction(rows, row.id, event.key);
    if (action === null) {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    const target = rows.find((item): item is ItemRow => item.id === action.id);
    if (target === undefined) {
      return;
    }
    if (action.kind === 'toggle') {
      props.setOpen(target.id, !target.expanded);
    } else if (action.kind === 'insert' && target.kind === 'version') {
      actions.insert(target.version);
    } else {
      show(target);
      activate(target);
      focusRow(ref.current, target.id);
    }
  };

  // Rows are redrawn only when what they show changes; their handlers must not grow old with them.
  const latest = React.useRef({ activate, act, setOpen: props.setOpen });
  latest.current = { activate, act, setOpen: props.setOpen };
  const handlers = React.useMemo(
    () => ({
      onActivate: (row: ItemRow) => latest.current.activate(row),
      onToggle: (row: ItemRow) => latest.current.setOpen(row.id, !row.expanded),
      onKeyDown: (row: ItemRow, event: React.KeyboardEvent) => latest.current.act(row, event)
    }),
    []
  );

  const [start, end] = visibleRange(
    rows,
    (viewport.top - OVERSCAN) / scale,
    (viewport.top + viewport.height + OVERSCAN) / scale
  );
  const drawn = rows.slice(start, end);
  const activeRow = rows.find(row => row.id === current);
  if (activeRow !== undefined && !drawn.includes(activeRow)) {
    drawn.push(activeRow);
  }
  const tabStop = current ?? rows[0]?.id;

  return (
    <div ref={ref} className="jp-mlops-tree" role="tree" aria-label={trans.__('Model versions')}>
      <div className="jp-mlops-tree-body" style={{ height: totalHeight(rows) * scale }} role="none">
        <div ref={ruler} className="jp-mlops-ruler" role="none" />
        {drawn.map(row => (
          <TreeRow
            key={row.id}
            row={row}
            scale={scale}
            now={now}
            active={row.id === current}
            tabStop={row.id === tabStop}
            mlops={mlops}
            actions={actions}
            trans={trans}
            {...handlers}
          />
        ))}
      </div>
    </div>
  );
}

/** Focus a row once it is drawn: scrolling draws it in the next frame. */
function focusRow(tree: HTMLElement | null, id: string): void {
  const find = () => tree?.querySelector<HTMLElement>(`[data-row="${CSS.escape(id)}"]`);
  const row = find();
  if (row) {
    row.focus({ preventScroll: true });
  } else {
    requestAnimationFrame(() =>
      requestAnimationFrame(() => find()?.focus({ preventScroll: true }))
    );
  }
}
