import { Emitter } from './emitter';
import type { IProject } from './types';

/** What the panel remembers over a reload. */
export interface IRemembered {
  /** Rows folded or unfolded by hand, by row id; the rest follows the default. */
  open: Record<string, boolean>;
  /** Banners that were closed, by what they said. */
  dismissed: string[];
  pinned: IProject | null;
  /** Folded sections, where the shell does not remember them itself. */
  sections: boolean[] | null;
}

const EMPTY: IRemembered = { open: {}, dismissed: [], pinned: null, sections: null };

/** Enough for any real panel; without a bound the state would grow for ever. */
const MOST_OPEN = 500;
const MOST_DISMISSED = 20;

/** The panel's memory; a plugin loads it from and saves it to JupyterLab's state. */
export class Memory extends Emitter {
  get = (): IRemembered => this._value;

  /** Take what was saved; anything that does not fit is dropped. */
  restore(saved: unknown): void {
    const data = (typeof saved === 'object' && saved !== null ? saved : {}) as Partial<IRemembered>;
    const open = Object.entries(data.open ?? {}).filter(([, value]) => typeof value === 'boolean');
    const pinned = data.pinned;
    this._value = {
      open: Object.fromEntries(open),
      dismissed: Array.isArray(data.dismissed) ? data.dismissed.map(String) : [],
      pinned:
        pinned && [pinned.name, pinned.path, pinned.key].every(part => typeof part === 'string')
          ? { name: pinned.name, path: pinned.path, key: pinned.key }
          : null,
      sections: Array.isArray(data.sections) ? data.sections.map(Boolean) : null
    };
    this.emit();
  }

  setOpen(id: string, open: boolean): void {
    if (this._value.open[id] === open) {
      return;
    }
    const others = Object.entries(this._value.open).filter(([key]) => key !== id);
    const entries = [...others, [id, open] as const].slice(-MOST_OPEN);
    this._put({ open: Object.fromEntries(entries) });
  }

  dismiss(what: string): void {
    if (!this._value.dismissed.includes(what)) {
      this._put({ dismissed: [...this._value.dismissed, what].slice(-MOST_DISMISSED) });
    }
  }

  /** Let a banner come back: what it warned of is over. */
  undismiss(prefix: string): void {
    const dismissed = this._value.dismissed.filter(what => !what.startsWith(prefix));
    if (dismissed.length !== this._value.dismissed.length) {
      this._put({ dismissed });
    }
  }

  pin(pinned: IProject | null): void {
    this._put({ pinned });
  }

  setSections(sections: boolean[]): void {
    this._put({ sections });
  }

  private _put(change: Partial<IRemembered>): void {
    this._value = { ...this._value, ...change };
    this.emit();
  }

  private _value = EMPTY;
}
