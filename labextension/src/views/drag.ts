import { MimeData } from '@lumino/coreutils';
import { Drag } from '@lumino/dragdrop';

/** MIME type under which notebooks take cells, as nbformat objects. */
const CELL_MIME = 'application/vnd.jupyter.cells';

/** How far the pointer moves before it is a drag, in pixels. */
const THRESHOLD = 5;

/** A code cell as the notebook's own actions would make it. */
export function codeCell(source: string) {
  return { cell_type: 'code' as const, source, metadata: { trusted: true } };
}

/**
 * Watch a pressed pointer and, once it moves, drag the code that `load` gives.
 *
 * Dropped on a notebook it becomes a cell, elsewhere text. `load` is asked at the press, so that
 * the code is usually there when the drag begins; a drag whose code comes late begins then, if the
 * button is still down.
 */
export function watchDrag(press: PointerEvent, label: string, load: () => Promise<string>): void {
  if (press.button !== 0) {
    return;
  }
  const code = load();
  code.catch(() => undefined);
  let x = press.clientX;
  let y = press.clientY;
  let begun = false;
  const move = (event: PointerEvent) => {
    x = event.clientX;
    y = event.clientY;
    const far = Math.abs(x - press.clientX) + Math.abs(y - press.clientY);
    if (!begun && far >= THRESHOLD) {
      begun = true;
      code.then(start, end);
    }
  };
  const end = () => {
    document.removeEventListener('pointermove', move, true);
    document.removeEventListener('pointerup', end, true);
    document.removeEventListener('pointercancel', end, true);
    ended = true;
  };
  let ended = false;
  const start = (source: string) => {
    if (ended) {
      return;
    }
    end();
    const mimeData = new MimeData();
    mimeData.setData(CELL_MIME, [codeCell(source)]);
    mimeData.setData('text/plain', source);
    const drag = new Drag({
      mimeData,
      dragImage: dragImage(label),
      proposedAction: 'copy',
      supportedActions: 'copy'
    });
    void drag.start(x, y).then(() => drag.dispose());
  };
  document.addEventListener('pointermove', move, true);
  document.addEventListener('pointerup', end, true);
  document.addEventListener('pointercancel', end, true);
}

function dragImage(label: string): HTMLElement {
  const image = document.createElement('div');
  image.className = 'jp-mlops-dragimage';
  image.textContent = label;
  return image;
}
