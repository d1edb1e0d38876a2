import { classes } from '@jupyterlab/ui-components';
import { memo, type ReactElement, useMemo, useState } from 'react';

import type { Chart, Series } from '../api/types';
import { DecisionMarks } from './DecisionMarks';
import { Symbol } from './EventLog';
import {
  areaPoints,
  across,
  down,
  HEIGHT,
  type IReading,
  linePoints,
  nearestTime,
  readAt,
  timeAfter,
  topOf,
  WIDTH
} from './geometry';
import { isSame } from './looks';

export interface ICourseChartProps {
  chart: Chart;
}

/**
 * The course of a cluster: its rate to the left axis, its nodes to the right one, and below why it
 * scaled. Lines stretch to the place they have; words stand beside them as HTML, which does not.
 */
export const CourseChart = memo(function CourseChart({
  chart
}: ICourseChartProps): ReactElement {
  if (chart.blank) {
    return <p className="jc-Blank">{chart.blank}</p>;
  }
  return (
    <figure className="jc-CourseChart">
      <Legend chart={chart} />
      <div className="jc-CourseChart-frame">
        <Plot chart={chart} />
        <DecisionMarks chart={chart} />
        <div className="jc-CourseChart-times" aria-hidden>
          {chart.times.map(tick => (
            <span
              key={tick.at}
              style={{ left: percent(across(tick.at, chart)) }}
            >
              {tick.text}
            </span>
          ))}
        </div>
      </div>
    </figure>
  );
}, isSame);

function Legend({ chart }: ICourseChartProps): ReactElement {
  const ofKind = new Map(chart.decisions.map(one => [one.kind, one]));
  return (
    <figcaption className="jc-CourseChart-legend">
      {chart.series.map(line => (
        <span key={line.of}>
          <Key of={line.of} />
          {line.label}
        </span>
      ))}
      {Object.entries(chart.legend).map(([kind, text]) => {
        const decision = ofKind.get(kind);
        return (
          <span key={kind}>
            {decision && <Symbol of={decision} />}
            {text}
          </span>
        );
      })}
    </figcaption>
  );
}

function Key({ of }: { of: Series['of'] }): ReactElement {
  return <span className={`jc-CourseChart-key jc-mod-${of}`} aria-hidden />;
}

/** The lines, with the values at the place of the pointer or of the arrow keys. */
function Plot({ chart }: ICourseChartProps): ReactElement {
  const [time, setTime] = useState<number | null>(null);
  const reading = time === null ? null : readAt(time, chart);
  const point = (event: React.PointerEvent): void => {
    const place = event.currentTarget.getBoundingClientRect();
    setTime(nearestTime((event.clientX - place.left) / place.width, chart));
  };
  const press = (event: React.KeyboardEvent): void => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (steps) {
      event.preventDefault();
      setTime(timeAfter(time, steps, chart));
    } else if (event.key === 'Escape') {
      setTime(null);
    }
  };
  return (
    <div className="jc-CourseChart-plot">
      <Axis chart={chart} of="rate" />
      <Axis chart={chart} of="nodes" />
      <div
        className="jc-CourseChart-lines"
        role="img"
        aria-label={chart.said}
        tabIndex={0}
        onPointerMove={point}
        onPointerLeave={() => setTime(null)}
        onKeyDown={press}
        onBlur={() => setTime(null)}
      >
        <Lines chart={chart} />
        {reading && (
          <span
            className="jc-CourseChart-hair"
            style={{ left: percent(reading.across) }}
          />
        )}
      </div>
      <div role="status">{reading && <Tip reading={reading} />}</div>
    </div>
  );
}

const Lines = memo(function Lines({ chart }: ICourseChartProps): ReactElement {
  const lines = useMemo(() => shapesOf(chart), [chart]);
  return (
    <svg
      viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
      preserveAspectRatio="none"
      aria-hidden
    >
      <g className="jc-CourseChart-grid">
        {chart.rates.map(tick => {
          const y = HEIGHT * down(tick.at, topOf('rate', chart));
          return <line key={tick.at} x1={0} x2={WIDTH} y1={y} y2={y} />;
        })}
      </g>
      {lines.map(({ of, area, points }) => (
        <g key={of} className={`jc-mod-${of}`}>
          {area && <polygon points={area} />}
          <polyline points={points} data-series={of} />
        </g>
      ))}
    </svg>
  );
});

/** What there is stands above what comes. */
function shapesOf(
  chart: Chart
): { of: Series['of']; area: string; points: string }[] {
  const rank = ({ of }: Series): number =>
    ['rate', 'pending', 'nodes'].indexOf(of);
  return [...chart.series]
    .sort((one, other) => rank(one) - rank(other))
    .map(line => ({
      of: line.of,
      area: line.of === 'rate' ? areaPoints(line, chart) : '',
      points: linePoints(line, chart)
    }));
}

function Axis({
  chart,
  of
}: ICourseChartProps & { of: 'rate' | 'nodes' }): ReactElement {
  const ticks = of === 'rate' ? chart.rates : chart.nodes;
  return (
    <div className={`jc-CourseChart-axis jc-mod-${of}`} aria-hidden>
      {ticks.map(tick => (
        <span
          key={tick.at}
          style={{ top: percent(down(tick.at, topOf(of, chart))) }}
        >
          {tick.text}
        </span>
      ))}
    </div>
  );
}

/** The values at a moment, on that side of it where there is more room. */
function Tip({ reading }: { reading: IReading }): ReactElement {
  return (
    <div
      className={classes(
        'jc-Tip',
        reading.across > 0.5 ? 'jc-mod-flipped' : ''
      )}
      style={{ left: percent(reading.across) }}
    >
      <div className="jc-Tip-clock">{reading.clock}</div>
      {reading.values.map(({ of, label, text }) => (
        <div key={of} className="jc-Tip-line">
          <Key of={of} />
          <span>{label}</span> <b>{text}</b>
        </div>
      ))}
    </div>
  );
}

function percent(part: number): string {
  return `${(100 * part).toFixed(2)}%`;
}
