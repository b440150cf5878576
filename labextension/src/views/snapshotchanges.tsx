import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import { asApiError } from '../model/errors';
import { shorten } from '../model/format';
import type { IApi } from '../model/port';
import type { ProjectData } from '../model/project';
import { tagProblem } from '../model/snapshots';
import type { ISnapshot } from '../model/types';
import { Field, ask } from './dialogs';

/** How long what was done can be undone in its notification, in milliseconds. */
const UNDO_MS = 15_000;

/** Remove a version, with a way back; rejects with an `ApiError`. */
export async function removeSnapshot(
  api: IApi,
  project: ProjectData,
  { name, version, spec }: ISnapshot,
  trans: TranslationBundle
): Promise<void> {
  const { path } = project;
  await api.removeSnapshot(path, name, version);
  await project.snapshots.refresh();
  offerUndo(
    trans.__('Removed %1.', spec),
    trans.__('%1 was not restored', spec),
    () => api.restoreSnapshot(path, name, version),
    project,
    trans
  );
}

/** Ask for a tag and give it to a version, with a way back; rejects with an `ApiError`. */
export async function tagSnapshot(
  api: IApi,
  project: ProjectData,
  version: ISnapshot,
  trans: TranslationBundle
): Promise<void> {
  const { path } = project;
  const known = project.snapshots.get().data?.names ?? [];
  const versions = known.find(item => item.name === version.name)?.versions ?? [];
  const tag = await askTag(version, versions, trans);
  if (tag === null) {
    return;
  }
  const { before } = await api.tagSnapshot(path, version.name, version.version, tag);
  await project.snapshots.refresh();
  if (before === version.version) {
    return;
  }
  const said =
    before === null
      ? trans.__('%1 is version %2.', `${version.name}@${tag}`, version.version)
      : trans.__('%1 is version %2; it was %3.', `${version.name}@${tag}`, version.version, before);
  offerUndo(
    said,
    trans.__('Undo failed'),
    () =>
      before === null
        ? api.untagSnapshot(path, version.name, tag)
        : api.tagSnapshot(path, version.name, before, tag),
    project,
    trans
  );
}

function offerUndo(
  said: string,
  failed: string,
  undo: () => Promise<unknown>,
  project: ProjectData,
  trans: TranslationBundle
): void {
  const id = Notification.success(shorten(said), {
    autoClose: UNDO_MS,
    actions: [
      {
        label: trans.__('Undo'),
        callback: () => {
          Notification.dismiss(id);
          undo()
            .then(() => project.snapshots.refresh())
            .catch(cause => {
              const { message } = asApiError(cause);
              Notification.error(shorten(`${failed}: ${message}`), { autoClose: 10000 });
            });
        }
      }
    ]
  });
}

async function askTag(
  version: ISnapshot,
  versions: readonly ISnapshot[],
  trans: TranslationBundle
): Promise<string | null> {
  const holders = new Map(
    versions.flatMap(item => item.tags.map(tag => [tag, item.version] as const))
  );
  const problem = (tag: string) => {
    switch (tagProblem(tag.trim())) {
      case 'empty':
        return trans.__('A tag is needed.');
      case 'reserved':
        return trans.__('Numbers, dates and “latest” mean versions by themselves.');
      case 'characters':
        return trans.__('Without “@” and line breaks.');
      case 'long':
        return trans.__('At most 200 characters.');
      default:
        return null;
    }
  };
  const tag = await ask({
    title: trans.__('Tag %1', version.spec),
    accept: trans.__('Tag'),
    initial: '',
    trans,
    problem,
    render: (value, set) => {
      const holder = holders.get(value.trim());
      return (
        <>
          <Field
            label={trans.__('Tag')}
            className="jp-mlops-tag-name"
            value={value}
            suggestions={[...holders.keys()]}
            problem={value === '' ? null : problem(value)}
            onChange={set}
          />
          <p className="jp-mlops-muted">
            {holder === undefined
              ? trans.__('No version listed has it now.')
              : holder === version.version
                ? trans.__('This version has it already.')
                : trans.__('v%1 has it now and loses it.', holder)}
          </p>
        </>
      );
    }
  });
  return tag === null ? null : tag.trim();
}
