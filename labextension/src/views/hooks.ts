import * as React from 'react';

import { Emitter } from '../model/emitter';

/** Redraw when `store` changes. */
export function useStore<T>(store: {
  subscribe: (listener: () => void) => () => void;
  get: () => T;
}): T {
  return React.useSyncExternalStore(store.subscribe, store.get);
}

const TICK_MS = 60_000;

/** One clock for everything that says an age: a tick a minute, only while somebody looks. */
const clock = {
  now: Date.now() / 1000,
  ticks: new Emitter(),
  timer: undefined as ReturnType<typeof setInterval> | undefined,
  get: () => clock.now,
  subscribe: (listener: () => void) => {
    const end = clock.ticks.subscribe(listener);
    clock.timer ??= setInterval(() => {
      clock.now = Date.now() / 1000;
      clock.ticks.emit();
    }, TICK_MS);
    return () => {
      end();
      if (!clock.ticks.observed) {
        clearInterval(clock.timer);
        clock.timer = undefined;
      }
    };
  }
};

/** The time in epoch seconds, at most a minute old. */
export function useNow(): number {
  const ticked = useStore(clock);
  // The clock stands still while nobody looks.
  const opened = React.useRef(Date.now() / 1000);
  return Math.max(ticked, opened.current);
}

/** The size of an element and how far its font is from JupyterLab's default of 13 pixels. */
export interface IViewport {
  top: number;
  height: number;
  scale: number;
}

/**
 * Follow an element's scroll position, height and font size, to draw only the rows it shows.
 * Redraws are merged to one a frame.
 */
export function useViewport(ref: React.RefObject<HTMLElement>): IViewport {
  const [viewport, setViewport] = React.useState<IViewport>({ top: 0, height: 400, scale: 1 });
  React.useLayoutEffect(() => {
    const element = ref.current;
    if (element === null) {
      return undefined;
    }
    let frame = 0;
    const measure = () => {
      frame = 0;
      const font = parseFloat(getComputedStyle(element).fontSize);
      const next = {
        top: element.scrollTop,
        height: element.clientHeight,
        scale: Number.isFinite(font) && font > 0 ? font / 13 : 1
      };
      setViewport(now =>
        now.top === next.top && now.height === next.height && now.scale === next.scale ? now : next
      );
    };
    const later = () => {
      frame ||= requestAnimationFrame(measure);
    };
    measure();
    element.addEventListener('scroll', later, { passive: true });
    const observer = new ResizeObserver(later);
    observer.observe(element);
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener('scroll', later);
      observer.disconnect();
    };
  }, [ref]);
  return viewport;
}
