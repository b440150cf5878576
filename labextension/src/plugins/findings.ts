import type { JupyterFrontEnd, JupyterFrontEndPlugin } from '@jupyterlab/application';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { INotebookTracker, NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';

import type { IMark } from '../model/findings';
import { FindingsWatch, cellsToSend } from '../model/findings';
import type { IFinding, ISentCell } from '../model/types';
import { IMLops } from '../tokens';
import { CellMark } from '../views/marks';

/** How long a notebook must have been at rest before it is checked, in milliseconds. */
const QUIET_MS = 700;

/** Marks the cells of notebooks in which hidden state or leakage is found, while one works. */
export const findings: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-mlops:findings',
  description: 'Marks cells that are out of date, or in which hidden state or leakage is found.',
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
    const marks = new WeakMap<object, NotebookMarks>();
    const add = (panel: NotebookPanel) => {
      const path = () => app.serviceManager.contents.localPath(panel.context.path);
      marks.set(panel.content, new NotebookMarks(panel, mlops, path, trans));
    };
    tracker.forEach(add);
    tracker.widgetAdded.connect((_, panel) => add(panel));
    NotebookActions.executed.connect((_, { notebook }) => marks.get(notebook)?.changed());
  }
};

/** The marks of one notebook. */
class NotebookMarks {
  constructor(
    private readonly _panel: NotebookPanel,
    private readonly _mlops: IMLops,
    private readonly _path: () => string,
    private readonly _trans: TranslationBundle
  ) {
    this._watch = new FindingsWatch(
      () => this._ask(),
      marks => this._show(marks),
      QUIET_MS
    );
    _panel.disposed.connect(() => this._watch.dispose());
    void _panel.context.ready.then(() => {
      if (!_panel.isDisposed) {
        // A cell that was moved, added or deleted changes what is above and below.
        _panel.content.model?.cells.changed.connect(() => this.changed());
        this.changed();
      }
    });
  }

  changed(): void {
    this._watch.changed();
  }

  private _ask(): Promise<IFinding[]> | null {
    const { content, isDisposed } = this._panel;
    const model = isDisposed ? null : content.model;
    if (model === null || !isPython(model.sharedModel.getMetadata())) {
      return null;
    }
    const cells: ISentCell[] = [];
    model.sharedModel.cells.forEach((cell, position) => {
      if (cell.cell_type === 'code') {
        const count = 'execution_count' in cell ? cell.execution_count : null;
        cells.push({ position, id: cell.getId(), source: cell.getSource(), count });
      }
    });
    if (cells.every(cell => cell.count === null)) {
      // Nothing ran yet: what a person is just typing is no finding.
      return Promise.resolve([]);
    }
    return this._mlops.api.check(this._path(), cellsToSend(cells));
  }

  private _show(marks: Map<string, IMark>): void {
    for (const cell of this._panel.content.widgets) {
      const mark = marks.get(cell.model.id);
      let view = this._views.get(cell);
      if (view === undefined && mark !== undefined) {
        view = new CellMark(cell.node, this._trans);
        this._views.set(cell, view);
      }
      view?.show(mark);
    }
  }

  private readonly _watch: FindingsWatch;
  private readonly _views = new WeakMap<object, CellMark>();
}

function isPython(metadata: unknown): boolean {
  const { language_info: info, kernelspec: spec } = metadata as {
    language_info?: { name?: string };
    kernelspec?: { language?: string };
  };
  return (info?.name ?? spec?.language ?? 'python').toLowerCase() === 'python';
}
