import type { IModelVersion, IRegisteredModel } from './types';
import { formatNumber } from './format';

/**
 * The tree of models and versions as flat rows of known height, so that thousands of them are
 * drawn only where they are visible. Heights are in units of the design's 13px font.
 */

export const GROUP_HEIGHT = 30;
export const VERSION_HEIGHT = 48;
export const LINE_HEIGHT = 20;
export const DETAIL_PADDING = 12;

export interface IGroupRow {
  kind: 'group';
  id: string;
  model: IRegisteredModel;
  expanded: boolean;
  top: number;
  height: number;
  /** Place among the models, from 1, and their number. */
  position: number;
  size: number;
}

export interface IVersionRow {
  kind: 'version';
  id: string;
  /** Of the group above. */
  parent: string;
  version: IModelVersion;
  expanded: boolean;
  top: number;
  height: number;
  position: number;
  size: number;
}

export interface IDetailRow {
  kind: 'detail';
  id: string;
  version: IModelVersion;
  lines: IDetailLine[];
  top: number;
  height: number;
}

export interface IDetailLine {
  label: 'class' | 'run' | 'notebook' | 'pipeline' | 'uri' | 'metric';
  /** Name of the metric. */
  name?: string;
  value: string;
}

export type Row = IGroupRow | IVersionRow | IDetailRow;

/** Rows that can be selected. */
export type ItemRow = IGroupRow | IVersionRow;

export function groupId(name: string): string {
  return `m:${name}`;
}

export function isGroupId(id: string): boolean {
  return id.startsWith('m:');
}

export function versionId(name: string, version: number): string {
  return `v:${name}@${version}`;
}

/** Lay out `models`; `isOpen` says which groups and version details are unfolded, by row id. */
export function buildRows(
  models: IRegisteredModel[],
  isOpen: (id: string, kind: 'group' | 'version') => boolean
): Row[] {
  const rows: Row[] = [];
  let top = 0;
  models.forEach((model, index) => {
    const parent = groupId(model.name);
    const expanded = isOpen(parent, 'group');
    rows.push({
      kind: 'group',
      id: parent,
      model,
      expanded,
      top,
      height: GROUP_HEIGHT,
      position: index + 1,
      size: models.length
    });
    top += GROUP_HEIGHT;
    if (!expanded) {
      return;
    }
    model.versions.forEach((version, place) => {
      const id = versionId(version.name, version.version);
      const open = isOpen(id, 'version');
      rows.push({
        kind: 'version',
        id,
        parent,
        version,
        expanded: open,
        top,
        height: VERSION_HEIGHT,
        position: place + 1,
        size: model.versions.length
      });
      top += VERSION_HEIGHT;
      if (open) {
        const lines = detailLines(version);
        const height = lines.length * LINE_HEIGHT + DETAIL_PADDING;
        rows.push({ kind: 'detail', id: `d:${id}`, version, lines, top, height });
        top += height;
      }
    });
  });
  return rows;
}

/** What an unfolded version says, one fact a line. */
export function detailLines(version: IModelVersion): IDetailLine[] {
  const lines: IDetailLine[] = [];
  const add = (label: IDetailLine['label'], value: string | null) => {
    if (value !== null && value !== '') {
      lines.push({ label, value });
    }
  };
  add('class', version.class_name);
  add('run', version.run_id ?? version.mlflow_run_id);
  add('notebook', version.notebook);
  add('pipeline', version.pipeline);
  add('uri', version.uri);
  for (const [name, value] of Object.entries(version.metrics)) {
    lines.push({ label: 'metric', name, value: formatNumber(value) });
  }
  return lines;
}

/** Height of all rows together. */
export function totalHeight(rows: Row[]): number {
  const last = rows[rows.length - 1];
  return last === undefined ? 0 : last.top + last.height;
}

/** The half-open range of rows that are at least partly between `top` and `bottom`. */
export function visibleRange(rows: Row[], top: number, bottom: number): [number, number] {
  const start = firstAfter(rows, top);
  let end = start;
  while (end < rows.length && rows[end].top < bottom) {
    end += 1;
  }
  return [start, end];
}

/** Index of the first row that ends below `top`, by bisection. */
function firstAfter(rows: Row[], top: number): number {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].top + rows[middle].height > top) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return low;
}

/** What a key means on the tree: another active row, or something done to the active one. */
export type KeyAction =
  | { kind: 'activate'; id: string }
  | { kind: 'toggle'; id: string }
  | { kind: 'insert'; id: string }
  | null;

/** The page for PageUp and PageDown, in rows. */
const PAGE = 8;

/**
 * Follow the tree pattern of the ARIA practices guide: up and down between rows, right unfolds or
 * goes in, left folds or goes out, Home and End, Space unfolds; Enter unfolds a model and inserts
 * the load code of a version.
 */
export function keyAction(rows: Row[], active: string | null, key: string): KeyAction {
  const items = rows.filter((row): row is ItemRow => row.kind !== 'detail');
  if (items.length === 0) {
    return null;
  }
  const index = items.findIndex(row => row.id === active);
  const row = items[index];
  const go = (place: number): KeyAction => {
    const target = items[Math.min(items.length - 1, Math.max(0, place))];
    return target.id === active ? null : { kind: 'activate', id: target.id };
  };
  switch (key) {
    case 'Home':
      return go(0);
    case 'End':
      return go(items.length - 1);
  }
  if (row === undefined) {
    return key === 'ArrowDown' || key === 'ArrowUp' ? go(0) : null;
  }
  switch (key) {
    case 'ArrowDown':
      return go(index + 1);
    case 'ArrowUp':
      return go(index - 1);
    case 'PageDown':
      return go(index + PAGE);
    case 'PageUp':
      return go(index - PAGE);
    case 'ArrowRight':
      if (!row.expanded) {
        return { kind: 'toggle', id: row.id };
      }
      return row.kind === 'group' ? go(index + 1) : null;
    case 'ArrowLeft':
      if (row.expanded) {
        return { kind: 'toggle', id: row.id };
      }
      return row.kind === 'version' ? { kind: 'activate', id: row.parent } : null;
    case ' ':
      return { kind: 'toggle', id: row.id };
    case 'Enter':
      return row.kind === 'group' ? { kind: 'toggle', id: row.id } : { kind: 'insert', id: row.id };
  }
  return null;
}

/**
 * The row to be active after the rows changed: the same one where it still is, else its nearest
 * neighbour in the old order, so that focus does not jump to the top.
 */
export function keepActive(before: Row[], after: Row[], active: string | null): string | null {
  if (active === null || after.some(row => row.id === active)) {
    return active;
  }
  const there = new Set(after.map(row => row.id));
  const order = before.filter(row => row.kind !== 'detail').map(row => row.id);
  const place = order.indexOf(active);
  for (let distance = 1; distance <= order.length; distance++) {
    for (const id of [order[place + distance], order[place - distance]]) {
      if (id !== undefined && there.has(id)) {
        return id;
      }
    }
  }
  return null;
}

/** The scroll position that shows `row` whole with the least movement. */
export function scrollTo(row: Row, scrollTop: number, height: number): number {
  if (row.top < scrollTop) {
    return row.top;
  }
  if (row.top + row.height > scrollTop + height) {
    return row.top + row.height - height;
  }
  return scrollTop;
}
