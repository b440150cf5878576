import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell, ILayoutRestorer } from '@jupyterlab/application';
import { ICommandPalette, Notification } from '@jupyterlab/apputils';
import { IStateDB } from '@jupyterlab/statedb';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import type { ReadonlyJSONValue } from '@lumino/coreutils';
import { Debouncer } from '@lumino/polling';

import { mlopsIcon } from '../icons';
import { asApiError } from '../model/errors';
import { shorten } from '../model/format';
import { Memory } from '../model/memory';
import { CommandIDs, IMLops } from '../tokens';
import { SnapshotActions, VersionActions } from '../views/actions';
import { MLopsPanel } from '../views/panel';
import { IKernelCheck } from './kernel';

const ID = 'jupyter-mlops:panel';
const RANK = 600;
const SAVE_MS = 500;

/** The sidebar panel and the command that shows it; its context menu is in `schema/panel.json`. */
export const panel: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'Shows model versions, runs, snapshots, schedules and deployments in a sidebar.',
  autoStart: true,
  requires: [IMLops],
  optional: [ILabShell, ILayoutRestorer, IStateDB, ITranslator, ICommandPalette, IKernelCheck],
  activate: (
    app: JupyterFrontEnd,
    mlops: IMLops,
    labShell: ILabShell | null,
    restorer: ILayoutRestorer | null,
    state: IStateDB | null,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    kernelCheck: IKernelCheck | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_mlops');
    const memory = new Memory();
    const widget = new MLopsPanel({
      mlops,
      memory,
      actions: new VersionActions(app.commands),
      snapshotActions: new SnapshotActions(app.commands),
      translator: translator ?? nullTranslator,
      trans,
      onSync: () => sync(mlops, trans.__('Refreshing failed')),
      onCheckKernel: () => kernelCheck?.again()
    });

    app.commands.addCommand(CommandIDs.show, {
      label: trans.__('Show the MLOps Panel'),
      icon: mlopsIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            name: { type: 'string', description: trans.__('Registered model to show') },
            version: { type: 'integer', description: trans.__('Its version') },
            run: { type: 'string', description: trans.__('Run to show') }
          }
        }
      },
      execute: args => {
        app.shell.activateById(widget.id);
        if (typeof args.name === 'string' && typeof args.version === 'number') {
          widget.reveal({ name: args.name, version: args.version });
        } else if (typeof args.run === 'string') {
          widget.revealRun(args.run);
        }
      }
    });
    palette?.addItem({ command: CommandIDs.show, category: trans.__('MLOps') });

    app.shell.add(widget, 'right', { rank: RANK, type: 'MLOps' });
    restorer?.add(widget, widget.id);
    if (state !== null) {
      // The state is there once the application has started, which waits for this plugin.
      void remember(state, memory, mlops, widget, labShell === null);
    }
  }
};

/** Read runs and models from the tracking server again, then what the panel shows of them. */
async function sync(mlops: IMLops, failed: string): Promise<void> {
  try {
    await mlops.api.sync(mlops.path);
  } catch (cause) {
    const error = asApiError(cause);
    // What the tracking server did is in the panel's banner; the rest is said here.
    if (error.reason !== 'service') {
      Notification.error(shorten(`${failed}: ${error.message}`), { autoClose: 8000 });
    }
  }
  await mlops.refresh().catch(() => undefined);
}

/**
 * Load the panel's memory and keep it saved. JupyterLab's shell remembers which sections are open
 * by itself; with `sections` they are remembered here.
 */
async function remember(
  state: IStateDB,
  memory: Memory,
  mlops: IMLops,
  widget: MLopsPanel,
  sections: boolean
): Promise<void> {
  memory.restore(await state.fetch(ID).catch(() => undefined));
  mlops.pin(memory.get().pinned);
  const { sections: saved } = memory.get();
  if (sections) {
    saved?.forEach((open, index) => {
      if (index < widget.sections.widgets.length) {
        widget.sections[open ? 'expand' : 'collapse'](index);
      }
    });
    widget.sections.expansionToggled.connect(() => {
      memory.setSections(widget.sections.widgets.map(section => !section.isHidden));
    });
  }
  const save = new Debouncer(
    () => state.save(ID, memory.get() as unknown as ReadonlyJSONValue),
    SAVE_MS
  );
  memory.subscribe(() => void save.invoke());
}
