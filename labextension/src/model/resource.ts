import { Emitter } from './emitter';
import { reconcile } from './equality';
import type { ApiError } from './errors';
import { asApiError } from './errors';

/** What a view shows of something fetched. Data stays while a refresh runs or fails. */
export interface IResourceState<T> {
  /** `null` until the first answer. */
  readonly data: T | null;
  /** Why the last fetch failed; `null` after a success. */
  readonly error: ApiError | null;
  /** Whether there is neither data nor an error yet. */
  readonly loading: boolean;
}

/**
 * Something fetched from the server that refreshes without flicker.
 *
 * A refresh with an equal answer keeps the very same state object, so nothing redraws. Refreshes
 * asked for during a fetch are merged into one more after it.
 */
export class Resource<T> extends Emitter {
  constructor(private readonly _fetch: () => Promise<T>) {
    super();
  }

  get = (): IResourceState<T> => this._state;

  /** When the last answer came, in milliseconds since the epoch; 0 before. */
  get fetchedAt(): number {
    return this._fetchedAt;
  }

  /** Fetch now. Never rejects: a failure is in the state. */
  refresh(): Promise<void> {
    if (this._running !== null) {
      this._again = true;
      return this._running;
    }
    this._running = this._run().finally(() => {
      this._running = null;
    });
    return this._running;
  }

  /** Show `data` without asking the server, for a change whose answer already holds it. */
  put(data: T): void {
    this._fetchedAt = Date.now();
    this._set({ data: reconcile(this._state.data, data), error: null, loading: false });
  }

  /** Forget a failure and ask again; the view shows that it is loading. */
  retry(): Promise<void> {
    if (this._state.data === null) {
      this._set({ data: null, error: null, loading: true });
    }
    return this.refresh();
  }

  private async _run(): Promise<void> {
    do {
      this._again = false;
      try {
        const answer = await this._fetch();
        this._fetchedAt = Date.now();
        this._set({ data: reconcile(this._state.data, answer), error: null, loading: false });
      } catch (cause) {
        const error = asApiError(cause);
        this._set({ data: this._state.data, error, loading: false });
      }
    } while (this._again);
  }

  private _set(next: IResourceState<T>): void {
    const now = this._state;
    if (
      now.data === next.data &&
      now.loading === next.loading &&
      sameError(now.error, next.error)
    ) {
      return;
    }
    this._state = next;
    this.emit();
  }

  private _state: IResourceState<T> = { data: null, error: null, loading: true };
  private _running: Promise<void> | null = null;
  private _again = false;
  private _fetchedAt = 0;
}

function sameError(a: ApiError | null, b: ApiError | null): boolean {
  return a === b || (a !== null && b !== null && a.reason === b.reason && a.message === b.message);
}
