/**
 * Return `next`, with every part of `previous` that is equal to it kept as the same object.
 *
 * When nothing changed, `previous` itself comes back, so that a refresh with the same answer
 * redraws nothing. Only JSON values are compared; array items are matched by `key` where they have
 * one (`id`, `version`, `name`), so that a new first item does not make all others look changed.
 */
export function reconcile<T>(previous: unknown, next: T): T {
  if (Object.is(previous, next)) {
    return next;
  }
  if (Array.isArray(previous) && Array.isArray(next)) {
    return reconcileArray(previous, next) as T;
  }
  if (isPlainObject(previous) && isPlainObject(next)) {
    return reconcileObject(previous, next) as T;
  }
  return next;
}

function reconcileArray(previous: unknown[], next: unknown[]): unknown[] {
  const known = new Map<unknown, unknown>();
  for (const item of previous) {
    const key = identity(item);
    if (key !== undefined) {
      known.set(key, item);
    }
  }
  let same = previous.length === next.length;
  const merged = next.map((item, index) => {
    const key = identity(item);
    const before = key === undefined ? previous[index] : known.get(key);
    const result = reconcile(before, item);
    same = same && Object.is(result, previous[index]);
    return result;
  });
  return same ? previous : merged;
}

function reconcileObject(
  previous: Record<string, unknown>,
  next: Record<string, unknown>
): Record<string, unknown> {
  const keys = Object.keys(next);
  let same = keys.length === Object.keys(previous).length;
  const merged: Record<string, unknown> = {};
  for (const key of keys) {
    merged[key] = reconcile(previous[key], next[key]);
    same = same && key in previous && Object.is(merged[key], previous[key]);
  }
  return same ? previous : merged;
}

/** What tells an item of a list from its siblings; `undefined` where only its place does. */
function identity(item: unknown): unknown {
  if (!isPlainObject(item)) {
    return undefined;
  }
  return item.id ?? item.version ?? item.name;
}

function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
