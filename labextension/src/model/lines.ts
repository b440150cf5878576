/** The ranges of a drawing's two axes. */
export interface IRange {
  left: number;
  right: number;
  low: number;
  high: number;
}

type Points = readonly (readonly [number, number])[];

/** The ranges that hold all of some points; `null` without any. */
export function rangeOf(points: Points): IRange | null {
  if (points.length === 0) {
    return null;
  }
  const range = { left: Infinity, right: -Infinity, low: Infinity, high: -Infinity };
  for (const [step, value] of points) {
    range.left = Math.min(range.left, step);
    range.right = Math.max(range.right, step);
    range.low = Math.min(range.low, value);
    range.high = Math.max(range.high, value);
  }
  return range;
}

/** `points` as the attribute of a `<polyline>`; `null` where the range is beyond numbers. */
export function linePoints(
  points: Points,
  width: number,
  height: number,
  margin: number,
  range: IRange
): string | null {
  const across = range.right - range.left || 1;
  const up = range.high - range.low;
  if (!Number.isFinite(across) || !Number.isFinite(up)) {
    return null;
  }
  return points
    .map(([step, value]) => {
      const x = margin + (width - 2 * margin) * ((step - range.left) / across);
      const share = up === 0 ? 0.5 : (value - range.low) / up;
      const y = height - margin - (height - 2 * margin) * share;
      return `${round(x)},${round(y)}`;
    })
    .join(' ');
}

/** The line of a sparkline; `null` where there is no course to draw. */
export function sparkPoints(points: Points, width: number, height: number): string | null {
  const range = points.length < 2 ? null : rangeOf(points);
  return range && linePoints(points, width, height, 1.5, range);
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
