import { Notification } from '@jupyterlab/apputils';
import type { NotebookPanel } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';
import type { TranslationBundle } from '@jupyterlab/translation';

import { codeCell } from '../views/drag';

/** Whether there is a notebook for code to go into; says so where there is none. */
export function hasNotebook(notebook: NotebookPanel | null, trans: TranslationBundle): boolean {
  if (notebook?.content.model) {
    return true;
  }
  Notification.warning(trans.__('Open a notebook first: the code goes below its active cell.'), {
    autoClose: 5000
  });
  return false;
}

/** Insert a code cell below the active one, and go to it. */
export async function insertCell(notebook: NotebookPanel | null, source: string): Promise<void> {
  const model = notebook?.content.model;
  if (!notebook || !model) {
    return;
  }
  const { content } = notebook;
  const index = Math.min(content.activeCellIndex + 1, model.sharedModel.cells.length);
  model.sharedModel.insertCell(index, codeCell(source));
  content.deselectAll();
  content.activeCellIndex = index;
  await NotebookActions.focusActiveCell(content);
}
