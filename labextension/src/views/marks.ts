import type { TranslationBundle } from '@jupyterlab/translation';

import type { IMark } from '../model/findings';
import { describeMark, sameMark } from '../model/findings';
import type { IFinding } from '../model/types';

const SIGNS = { error: '!', warning: '!', note: 'i', stale: '↻' };

let made = 0;

/** The mark of one cell: a small button beside its prompt that opens the reason and the fix. */
export class CellMark {
  constructor(
    private readonly _cell: HTMLElement,
    private readonly _trans: TranslationBundle
  ) {
    this._button.type = 'button';
    this._details.id = `jp-mlops-mark-${++made}`;
    this._details.className = 'jp-mlops-mark-details';
    this._details.setAttribute('role', 'note');
    this._details.hidden = true;
    this._button.setAttribute('aria-controls', this._details.id);
    this._button.setAttribute('aria-expanded', 'false');
    this._button.addEventListener('click', this._toggle);
    for (const node of [this._button, this._details]) {
      // The notebook would take the keys and clicks for its own.
      node.addEventListener('mousedown', event => event.stopPropagation());
      node.addEventListener('keydown', event => event.stopPropagation());
      node.setAttribute('data-lm-suppress-shortcuts', 'true');
    }
  }

  /** Show a mark, or none. */
  show(mark: IMark | undefined): void {
    if (sameMark(mark, this._mark)) {
      return;
    }
    this._mark = mark;
    this._cell.classList.toggle('jp-mlops-stale', mark?.stale === true);
    this._cell.classList.toggle('jp-mlops-marked', mark !== undefined);
    if (mark === undefined) {
      this._button.remove();
      this._details.remove();
      return;
    }
    const said = describeMark(mark);
    this._button.className = `jp-mlops-mark jp-mlops-mark-${mark.kind}`;
    this._button.textContent = SIGNS[mark.kind];
    this._button.title = said;
    this._button.setAttribute('aria-label', `${this._name(mark)} ${said}`);
    this._details.replaceChildren(...mark.findings.map(finding => this._row(finding)));
    if (!this._button.isConnected) {
      this._cell.append(this._button);
      const input = this._cell.querySelector(':scope > .jp-Cell-inputWrapper');
      if (input === null) {
        this._cell.append(this._details);
      } else {
        input.after(this._details);
      }
    }
  }

  private _name(mark: IMark): string {
    switch (mark.kind) {
      case 'stale':
        return this._trans.__('Out of date.');
      case 'error':
        return this._trans.__('Error.');
      case 'warning':
        return this._trans.__('Warning.');
      case 'note':
        return this._trans.__('Note.');
    }
  }

  private _row(finding: IFinding): HTMLElement {
    const row = document.createElement('div');
    row.className = 'jp-mlops-mark-finding';
    const head = document.createElement('strong');
    head.textContent = `${finding.rule}  ${finding.message}`;
    const reason = document.createElement('div');
    reason.textContent = finding.reason;
    const fix = document.createElement('div');
    fix.textContent = this._trans.__('Fix: %1', finding.fix);
    row.append(head, reason, fix);
    return row;
  }

  private readonly _toggle = (): void => {
    this._details.hidden = !this._details.hidden;
    this._button.setAttribute('aria-expanded', String(!this._details.hidden));
  };

  private readonly _button = document.createElement('button');
  private readonly _details = document.createElement('div');
  private _mark: IMark | undefined;
}
