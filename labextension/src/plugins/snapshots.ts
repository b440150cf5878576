import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, Notification } from '@jupyterlab/apputils';
import { INotebookTracker } from '@jupyterlab/notebook';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { copyIcon } from '@jupyterlab/ui-components';
import type { ReadonlyPartialJSONObject } from '@lumino/coreutils';

import { insertIcon } from '../icons';
import { shorten } from '../model/format';
import { parseSpec, restoreCode } from '../model/snapshots';
import { CommandIDs, IMLops } from '../tokens';
import { showSnapshotDiff } from '../views/snapshotdiff';
import { showSnapshot } from '../views/snapshotview';
import { hasNotebook, insertCell } from './cells';
import { fail } from './versions';

/** What can be done to a version of data, as commands for the panel, its menu and run cards. */
export const snapshots: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:snapshots',
  description: 'Commands on snapshots: show, insert restore code, copy the address.',
  autoStart: true,
  requires: [IMLops, INotebookTracker],
  optional: [ITranslator],
  activate: (
    app: JupyterFrontEnd,
    mlops: IMLops,
    tracker: INotebookTracker,
    translator: ITranslator | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_mlops');
    const { commands } = app;
    /** The version that a command is told, else the one under the context menu. */
    const which = (args: ReadonlyPartialJSONObject) => {
      const spec =
        typeof args.spec === 'string'
          ? args.spec
          : app.contextMenuHitTest(node => 'snapshot' in node.dataset)?.dataset.snapshot;
      return spec === undefined ? null : parseSpec(spec);
    };
    const isEnabled = (args: ReadonlyPartialJSONObject) => which(args) !== null;
    const describedBy = {
      args: {
        type: 'object',
        properties: {
          spec: { type: 'string', description: trans.__('Snapshot, as NAME@VERSION') },
          path: { type: 'string', description: trans.__('A path in its project') }
        }
      }
    };
    const insert = (chosen: { name: string; version: number }) => {
      if (hasNotebook(tracker.currentWidget, trans)) {
        void insertCell(tracker.currentWidget, restoreCode(chosen));
      }
    };

    commands.addCommand(CommandIDs.insertSnapshot, {
      label: trans.__('Insert Restore Code'),
      caption: trans.__('Insert code that restores this version below the active cell'),
      icon: insertIcon,
      describedBy,
      isEnabled,
      execute: args => {
        const chosen = which(args);
        return chosen && insert(chosen);
      }
    });
    commands.addCommand(CommandIDs.copySnapshot, {
      label: trans.__('Copy Address'),
      caption: trans.__('Copy the address that opens this version as a file'),
      icon: copyIcon,
      describedBy,
      isEnabled,
      execute: args => {
        const chosen = which(args);
        if (chosen !== null) {
          const address = `snapshot://${chosen.name}@${chosen.version}`;
          Clipboard.copyToSystem(address);
          Notification.success(trans.__('Copied %1', shorten(address, 100)), { autoClose: 2000 });
        }
      }
    });
    commands.addCommand(CommandIDs.showSnapshot, {
      label: trans.__('Show Snapshot'),
      caption: trans.__('Show what this version of data holds'),
      describedBy,
      isEnabled,
      execute: async args => {
        const chosen = which(args);
        if (chosen === null) {
          return;
        }
        const path = typeof args.path === 'string' ? args.path : mlops.path;
        const spec = `${chosen.name}@${chosen.version}`;
        try {
          await showSnapshot(
            mlops.api,
            path,
            spec,
            {
              insert,
              compare: (a, b) =>
                void showSnapshotDiff(mlops.api, path, a, b, trans).catch(cause =>
                  fail(trans.__('%1 and %2 were not compared', a, b), cause)
                ),
              showRun: commands.hasCommand(CommandIDs.show)
                ? run => void commands.execute(CommandIDs.show, { run })
                : null
            },
            trans
          );
        } catch (cause) {
          fail(trans.__('%1 cannot be shown', spec), cause);
        }
      }
    });
  }
};
