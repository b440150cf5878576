/**
 * Return a function that runs what it is given, at most `most` at once, in order.
 *
 * A notebook with a hundred run cards must not fill the browser's few connections to the server,
 * which kernels and contents share.
 */
export function limiter(most: number): <T>(task: () => Promise<T>) => Promise<T> {
  let running = 0;
  const queue: (() => void)[] = [];
  const next = () => {
    running -= 1;
    queue.shift()?.();
  };
  return async task => {
    if (running >= most) {
      await new Promise<void>(resolve => queue.push(resolve));
    }
    running += 1;
    try {
      return await task();
    } finally {
      next();
    }
  };
}
