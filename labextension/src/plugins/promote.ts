import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { Clipboard, ICommandPalette, Notification } from '@jupyterlab/apputils';
import { PathExt } from '@jupyterlab/coreutils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import { promoteIcon } from '../icons';
import type { ApiError } from '../model/errors';
import { asApiError } from '../model/errors';
import { shorten } from '../model/format';
import { pipelineName } from '../model/names';
import type { IPromoted } from '../model/promotion';
import { differencesOf, finishJob, readPromotion, summarize } from '../model/promotion';
import { CommandIDs, IMLops } from '../tokens';
import { askPromotion, showDifferences } from '../views/dialogs';

/** The command that makes a pipeline of a notebook; its toolbar button is in `schema/promote.json`. */
export const promote: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:promote',
  description: 'Promotes the active notebook to a pipeline.',
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
    app.commands.addCommand(CommandIDs.promote, {
      label: trans.__('Promote to Pipeline…'),
      caption: trans.__('Make this notebook a pipeline, proven by a replay'),
      icon: promoteIcon,
      describedBy: {
        args: {
          type: 'object',
          properties: {
            name: { type: 'string', description: trans.__('Name to suggest for the pipeline') }
          }
        }
      },
      isEnabled: () => tracker.currentWidget !== null,
      execute: async args => {
        const notebook = tracker.currentWidget;
        if (notebook === null) {
          return;
        }
        // Always asked, whoever calls: a link in a notebook's output can call commands too.
        const given = typeof args.name === 'string' ? args.name : null;
        await run(app, mlops, notebook, given, trans);
      }
    });
    tracker.currentChanged.connect(() => app.commands.notifyCommandChanged(CommandIDs.promote));
    palette?.addItem({ command: CommandIDs.promote, category: trans.__('MLOps') });
  }
};

async function run(
  app: JupyterFrontEnd,
  mlops: IMLops,
  notebook: NotebookPanel,
  given: string | null,
  trans: TranslationBundle
): Promise<void> {
  const { context } = notebook;
  const file = PathExt.basename(context.path);
  const name = await askPromotion(file, given ?? pipelineName(file), trans);
  if (name === null) {
    return;
  }
  const id = Notification.emit(shorten(trans.__('Promoting %1…', file)), 'in-progress', {
    autoClose: false
  });
  try {
    if (context.model.dirty) {
      await context.save();
    }
    const path = app.serviceManager.contents.localPath(context.path);
    const job = await finishJob(
      mlops.api,
      await mlops.api.promote(path, name),
      ms => mlops.jobChanged(ms),
      message => Notification.update({ id, message: shorten(message) })
    );
    succeed(id, readPromotion(job, name), trans);
  } catch (cause) {
    explain(id, file, asApiError(cause), trans);
  }
}

function succeed(id: string, made: IPromoted, trans: TranslationBundle): void {
  const { undo } = made;
  Notification.update({
    id,
    type: made.verdict === 'equal' || made.verdict === 'within_tolerance' ? 'success' : 'warning',
    message: shorten(
      trans.__('Promoted to pipelines/%1: proof %2', made.name, made.verdict.replace(/_/g, ' '))
    ),
    autoClose: 20000,
    actions: [
      {
        label: trans.__('Copy run command'),
        callback: () => Clipboard.copyToSystem(`jupyter mlops run ${made.name}`)
      },
      ...(undo === null
        ? []
        : [
            {
              label: trans.__('Copy undo'),
              caption: undo,
              callback: () => Clipboard.copyToSystem(undo)
            }
          ])
    ]
  });
}

function explain(id: string, file: string, error: ApiError, trans: TranslationBundle): void {
  const differences = differencesOf(error);
  const differs = error.reason === 'replay_differs';
  const message = differs
    ? trans.__('%1 was not promoted: its replay differs. %2', file, summarize(differences))
    : trans.__('%1 was not promoted: %2', file, error.message);
  Notification.update({
    id,
    type: 'error',
    message: shorten(message),
    autoClose: false,
    actions: [
      {
        label: differs ? trans.__('What differs') : trans.__('Details'),
        callback: () =>
          void showDifferences(
            trans.__('%1 was not promoted', file),
            error.message,
            error.hint,
            differences,
            trans
          )
      }
    ]
  });
}
