/** The smallest thing that views can follow: `subscribe` fits React's `useSyncExternalStore`. */
export class Emitter {
  /** Call `listener` at every change; returns what ends it. */
  subscribe = (listener: () => void): (() => void) => {
    this._listeners.add(listener);
    return () => {
      this._listeners.delete(listener);
    };
  };

  /** Whether somebody is listening. */
  get observed(): boolean {
    return this._listeners.size > 0;
  }

  emit(): void {
    for (const listener of [...this._listeners]) {
      listener();
    }
  }

  private readonly _listeners = new Set<() => void>();
}
