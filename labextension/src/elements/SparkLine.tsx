import type { ReactElement } from 'react';

import type { Spark } from '../api/types';

// The line's own coordinates, which stretch to the place it has.
const WIDTH = 100;
const HEIGHT = 24;
// Room for half of the line's width at the upper and the lower edge.
const EDGE = 2;

export interface ISparkLineProps {
  spark: Spark;
}

/** The course of a rate, without axes. */
export function SparkLine({ spark }: ISparkLineProps): ReactElement {
  const points = sparkPoints(spark.values);
  return (
    <svg
      className="jc-SparkLine"
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      role="img"
      aria-label={spark.said}
    >
      <title>{spark.said}</title>
      {points && (
        <>
          <polygon
            points={`0,${HEIGHT} ${points} ${WIDTH},${HEIGHT}`}
            className="jc-SparkLine-area"
          />
          <polyline points={points} className="jc-SparkLine-line" />
        </>
      )}
    </svg>
  );
}

/** The values from the left to the right edge, above zero; empty where there is none. */
export function sparkPoints(values: readonly number[]): string {
  const top = Math.max(...values, 0) || 1;
  const shown = values.length === 1 ? [...values, ...values] : values;
  return shown
    .map((value, at) => {
      const x = (WIDTH * at) / (shown.length - 1);
      const y = HEIGHT - EDGE - ((HEIGHT - 2 * EDGE) * value) / top;
      return `${x.toFixed(1)},${y.toFixed(1)}`;
    })
    .join(' ');
}
