import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { NotebookPanel } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { copyIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { aliasIcon, insertIcon } from '../icons';
import { asApiError, gatesOf } from '../model/errors';
import { shorten } from '../model/format';
import { CommandIDs, IMLops } from '../tokens';
import type { IVersionArgs } from '../views/actions';
import { shellName } from '../views/deployments';
import { askAlias, showGates } from '../views/dialogs';
import { hasNotebook, insertCell } from './cells';

/** What can be done to a model version, as commands for the panel, menus, keys and the palette. */
export const versions: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:versions',
  description: 'Commands on model versions: insert load code, copy, set an alias.',
  autoStart: true,
  requires: [IMLops, INotebookTracker],
  optional: [ITranslator, ICommandPalette],
  activate: (
    app: JupyterFrontEnd,
    mlops: IMLops,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_mlops');
    const { commands } = app;
    const which = (args: ReadonlyPartialJSONObject): IVersionArgs | null =>
      typeof args.name === 'string' && typeof args.version === 'number'
        ? { name: args.name, version: args.version }
        : mlops.get().selected;
    const isEnabled = (args: ReadonlyPartialJSONObject) => which(args) !== null;
    const describedBy = {
      args: {
        type: 'object',
        properties: {
          name: { type: 'string', description: trans.__('Registered model') },
          version: { type: 'integer', description: trans.__('Its version') }
        }
      }
    };

    commands.addCommand(CommandIDs.insert, {
      label: trans.__('Insert Load Code'),
      caption: trans.__('Insert code that loads this model version below the active cell'),
      icon: insertIcon,
      describedBy,
      isEnabled,
      execute: args => {
        const chosen = which(args);
        return chosen && insert(mlops, tracker.currentWidget, chosen, trans);
      }
    });
    commands.addCommand(CommandIDs.copyUri, {
      label: trans.__('Copy URI'),
      caption: trans.__('Copy MLflow’s address of this model version'),
      icon: copyIcon,
      describedBy,
      isEnabled,
      execute: args => {
        const chosen = which(args);
        if (chosen !== null) {
          const uri = `models:/${chosen.name}/${chosen.version}`;
          Clipboard.copyToSystem(uri);
          Notification.success(trans.__('Copied %1', shorten(uri, 100)), { autoClose: 2000 });
        }
      }
    });
    commands.addCommand(CommandIDs.copyDeploy, {
      label: trans.__('Copy Deploy Command'),
      caption: trans.__('Copy the command that serves this model version on this machine'),
      icon: copyIcon,
      describedBy,
      isEnabled,
      execute: args => {
        const chosen = which(args);
        if (chosen !== null) {
          const command = `jupyter mlops deploy ${shellName(chosen.name)}@${chosen.version}`;
          Clipboard.copyToSystem(command);
          Notification.success(trans.__('Copied: %1', shorten(command, 100)), { autoClose: 3000 });
        }
      }
    });
    commands.addCommand(CommandIDs.setAlias, {
      label: trans.__('Set Alias…'),
      caption: trans.__('Give an alias such as champion to this model version'),
      icon: aliasIcon,
      describedBy,
      isEnabled,
      execute: args => {
        const chosen = which(args);
        return chosen && setAlias(mlops, chosen, trans);
      }
    });
    for (const command of [CommandIDs.insert, CommandIDs.copyUri, CommandIDs.setAlias]) {
      palette?.addItem({ command, category: trans.__('MLOps') });
    }
    let enabled = false;
    mlops.subscribe(() => {
      if (enabled !== (mlops.get().selected !== null)) {
        enabled = !enabled;
        commands.notifyCommandChanged();
      }
    });
  }
};

async function insert(
  mlops: IMLops,
  notebook: NotebookPanel | null,
  { name, version }: IVersionArgs,
  trans: TranslationBundle
): Promise<void> {
  if (!hasNotebook(notebook, trans)) {
    return;
  }
  let source: string;
  try {
    source = await mlops.code(name, version);
  } catch (cause) {
    fail(trans.__('No code to load %1 v%2', name, version), cause);
    return;
  }
  await insertCell(notebook, source);
}

async function setAlias(
  mlops: IMLops,
  { name, version }: IVersionArgs,
  trans: TranslationBundle
): Promise<void> {
  const { project } = mlops.get();
  const path = mlops.path;
  const model = project?.models.get().data?.find(item => item.name === name) ?? null;
  const alias = await askAlias(model, name, version, trans);
  if (alias === null) {
    return;
  }
  const refresh = () => project?.models.refresh();
  try {
    const change = await mlops.api.setAlias(path, name, alias, version);
    const before = change.previous;
    const message =
      before === null
        ? trans.__('%1 of %2 is now v%3.', alias, shorten(name, 60), version)
        : trans.__('%1 of %2 is now v%3; it was v%4.', alias, shorten(name, 60), version, before);
    const id = Notification.success(shorten(message), {
      autoClose: 15000,
      actions: [
        {
          label: trans.__('Undo'),
          callback: () => {
            Notification.dismiss(id);
            void undo().catch(cause => fail(trans.__('Undo failed'), cause));
          }
        }
      ]
    });
  } catch (cause) {
    const error = asApiError(cause);
    if (error.reason === 'gate_refused') {
      await showGates(
        trans.__('%1 v%2 may not be %3', name, version, alias),
        error.message,
        error.hint,
        gatesOf(error),
        trans
      );
    } else {
      fail(trans.__('The alias was not set'), error);
    }
  }
  await refresh();

  async function undo(): Promise<void> {
    const back = await mlops.api.revertAlias(path, name, alias!);
    const message =
      back.version === null
        ? trans.__('No version of %1 is %2 now.', shorten(name, 60), alias)
        : trans.__('%1 of %2 is v%3 again.', alias, shorten(name, 60), back.version);
    Notification.success(shorten(message), { autoClose: 5000 });
    await refresh();
  }
}

/** Say in a notification what did not work, why, and what to do about it. */
export function fail(what: string, cause: unknown): void {
  const error = asApiError(cause);
  const text = [error.message, error.hint].filter(Boolean).join(' ');
  Notification.error(shorten(`${what}: ${text}`), { autoClose: 10000 });
}
