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
 *
 * `ruler` is one em high. Sizes are read when the browser reports them: read at any other moment,
 * as in an animation frame while the theme changes, they can be those of a page in between.
 */
export function useViewport(
  ref: React.RefObject<HTMLElement>,
  ruler: React.RefObject<HTMLElement>
): IViewport {
  const [viewport, setViewport] = React.useState<IViewport>({ top: 0, height: 400, scale: 1 });
  React.useLayoutEffect(() => {
    const element = ref.current;
    const em = ruler.current;
    if (element === null || em === null) {
      return undefined;
    }
    const change = (part: Partial<IViewport>) =>
      setViewport(now => {
        const next = { ...now, ...part };
        const same = now.top === next.top && now.height === next.height && now.scale === next.scale;
        return same ? now : next;
      });
    let frame = 0;
    const onScroll = () => {
      frame ||= requestAnimationFrame(() => {
        frame = 0;
        change({ top: element.scrollTop });
      });
    };
    const observer = new ResizeObserver(() => {
      // A hidden panel has no size; what it showed is right again when it comes back.
      if (element.clientHeight > 0 && em.offsetHeight > 0) {
        change({
          top: element.scrollTop,
          height: element.clientHeight,
          scale: em.getBoundingClientRect().height / DESIGN_EM
        });
      }
    });
    observer.observe(element);
    observer.observe(em);
    element.addEventListener('scroll', onScroll, { passive: true });
    return () => {
      cancelAnimationFrame(frame);
      element.removeEventListener('scroll', onScroll);
      observer.disconnect();
    };
  }, [ref, ruler]);
  return viewport;
}

/** The font size that row heights are given for, in pixels. */
const DESIGN_EM = 13;
