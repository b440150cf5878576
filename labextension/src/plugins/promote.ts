import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import { ILabShell } from '@jupyterlab/application';
import { Clipboard, Dialog, ICommandPalette, Notification, showDialog } from '@jupyterlab/apputils';
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
import { pipelineFolder } from '../model/plan';
import { PromotionPreview } from '../model/preview';
import type { IPromoted } from '../model/promotion';
import { differencesOf, summarize } from '../model/promotion';
import { CommandIDs, IMLops } from '../tokens';
import { showDifferences } from '../views/dialogs';
import { PromotionWidget } from '../views/promotionwidget';

/** The command that makes a pipeline of a notebook; its toolbar button is in `schema/promote.json`. */
export const promote: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:promote',
  description: 'Promotes the active notebook to a pipeline.',
  autoStart: true,
  requires: [IMLops, INotebookTracker],
  optional: [ITranslator, ICommandPalette, ILabShell],
  activate: (
    app: JupyterFrontEnd,
    mlops: IMLops,
    tracker: INotebookTracker,
    translator: ITranslator | null,
    palette: ICommandPalette | null,
    labShell: ILabShell | null
  ): void => {
    const trans = (translator ?? nullTranslator).load('jupyter_mlops');
    const previews = new Previews(app, mlops, labShell !== null, trans);
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
        // Always shown first, whoever calls: a link in a notebook's output can call commands too.
        const given = typeof args.name === 'string' ? args.name : null;
        await previews.open(notebook, given);
      }
    });
    tracker.currentChanged.connect(() => app.commands.notifyCommandChanged(CommandIDs.promote));
    palette?.addItem({ command: CommandIDs.promote, category: trans.__('MLOps') });
  }
};

/** The previews that are open, one a notebook. */
class Previews {
  constructor(
    private readonly _app: JupyterFrontEnd,
    private readonly _mlops: IMLops,
    private readonly _tabs: boolean,
    private readonly _trans: TranslationBundle
  ) {}

  /** Save the notebook, and show what its promotion would write. */
  async open(notebook: NotebookPanel, name: string | null): Promise<void> {
    const { context } = notebook;
    const path = this._app.serviceManager.contents.localPath(context.path);
    let widget = this._open.get(path);
    if (widget === undefined) {
      widget = this._add(notebook, path, name);
    } else if (name !== null) {
      widget.preview.edit({ kind: 'name', name });
    }
    this._app.shell.activateById(widget.id);
    if (context.model.dirty) {
      await context.save();
    }
    if (!widget.isDisposed && !widget.preview.get().promoting) {
      await widget.preview.refresh();
    }
  }

  private _add(notebook: NotebookPanel, path: string, name: string | null): PromotionWidget {
    const file = PathExt.basename(path);
    const { api } = this._mlops;
    const { contents } = this._app.serviceManager;
    const preview = new PromotionPreview(
      api,
      path,
      name ?? pipelineName(file),
      ms => this._mlops.jobChanged(ms),
      folder =>
        contents.get(folder, { content: false }).then(
          () => true,
          () => false
        )
    );
    const widget: PromotionWidget = new PromotionWidget(
      preview,
      file,
      {
        promote: () => void promoteShown(preview, file, this._trans, false),
        replace: () => void this._replace(preview, file),
        cancel: () => widget.dispose(),
        open: written => void this._openFile(preview, written)
      },
      this._trans
    );
    this._open.set(path, widget);
    widget.disposed.connect(() => this._open.delete(path));
    // Notebook 7 has one document a page, and its side areas for the rest.
    if (this._tabs) {
      this._app.shell.add(widget, 'main', { ref: notebook.id, mode: 'tab-after' });
    } else {
      this._app.shell.add(widget, 'right');
    }
    return widget;
  }

  private async _replace(preview: PromotionPreview, file: string): Promise<void> {
    const trans = this._trans;
    const { name } = preview.get().draft;
    const { button } = await showDialog({
      title: trans.__('Replace pipelines/%1?', name),
      body: trans.__(
        'Edits made by hand in it are not taken over. The old pipeline is kept in .mlops/replaced.'
      ),
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: trans.__('Replace') })]
    });
    if (button.accept) {
      await promoteShown(preview, file, trans, true);
    }
  }

  private async _openFile(preview: PromotionPreview, file: string): Promise<void> {
    const { plan, made } = preview.get();
    const folder = plan && made && pipelineFolder(preview.path, { ...plan, name: made.name });
    if (folder === null) {
      return;
    }
    await this._app.commands.execute('docmanager:open', { path: `${folder}/${file}` });
  }

  private readonly _open = new Map<string, PromotionWidget>();
}

async function promoteShown(
  preview: PromotionPreview,
  file: string,
  trans: TranslationBundle,
  force: boolean
): Promise<void> {
  if (!preview.get().ready) {
    return;
  }
  const id = Notification.emit(shorten(trans.__('Promoting %1…', file)), 'in-progress', {
    autoClose: false
  });
  try {
    const made = await preview.promote(
      message => Notification.update({ id, message: shorten(message) }),
      force
    );
    if (made !== null) {
      succeed(id, made, trans);
    }
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
