import type { TranslationBundle } from '@jupyterlab/translation';
import * as React from 'react';

import type { ICourse } from '../model/card';
import type { ICurve } from '../model/compare';
import { formatNumber } from '../model/format';
import { linePoints, rangeOf, sparkPoints } from '../model/lines';

const SPARK = { width: 84, height: 16 };
const CHART = { width: 300, height: 110 };

/** A metric's course as a line no higher than its text. */
export function Sparkline(props: {
  name: string;
  course: ICourse;
  trans: TranslationBundle;
}): JSX.Element | null {
  const { name, course, trans } = props;
  const points = sparkPoints(course.points, SPARK.width, SPARK.height);
  if (points === null) {
    return null;
  }
  const label = trans.__('%1 over %2 steps', name, course.count);
  return (
    <svg
      className="jp-mlops-spark"
      {...SPARK}
      viewBox={`0 0 ${SPARK.width} ${SPARK.height}`}
      role="img"
      aria-label={label}
    >
      <title>{label}</title>
      <polyline points={points} />
    </svg>
  );
}

/** Two runs' courses of one metric over one another, told apart by dashes as well as by colour. */
export function Curves(props: { curve: ICurve; trans: TranslationBundle }): JSX.Element | null {
  const { curve, trans } = props;
  const range = rangeOf([...curve.a, ...curve.b]);
  if (range === null) {
    return null;
  }
  const draw = (points: [number, number][]) =>
    linePoints(points, CHART.width, CHART.height, 4, range) ?? '';
  return (
    <figure className="jp-mlops-curves">
      <figcaption>{curve.name}</figcaption>
      <div className="jp-mlops-curves-scale">
        <span>{formatNumber(range.high)}</span>
        <span>{formatNumber(range.low)}</span>
      </div>
      <svg
        {...CHART}
        viewBox={`0 0 ${CHART.width} ${CHART.height}`}
        role="img"
        aria-label={trans.__('%1 of both runs by step', curve.name)}
      >
        <polyline className="jp-mlops-mod-a" points={draw(curve.a)} />
        <polyline className="jp-mlops-mod-b" points={draw(curve.b)} />
      </svg>
      <div className="jp-mlops-curves-steps">
        <span>{formatNumber(range.left)}</span>
        <span>{trans.__('step')}</span>
        <span>{formatNumber(range.right)}</span>
      </div>
    </figure>
  );
}
