import type { Chart, Decision, Series } from '../api/types';

/** The coordinates of the chart's lines, which stretch to the place it has. */
export const WIDTH = 1000;
export const HEIGHT = 100;

/** Marks of one kind that stand closer than this, of the chart's width, become one. */
const NEAR = 0.035;

/** What stands above a moment of the chart. */
export interface IReading {
  /** Where the moment is: 0 at the left edge, 1 at the right one. */
  across: number;
  clock: string;

  /** Each line's words and its value then. */
  values: { of: Series['of']; label: string; text: string }[];
}

/** Decisions of one kind that are marked at one place. */
export interface IMark {
  across: number;
  decisions: Decision[];
}

/** Where a moment stands between the left edge (0) and the right one (1). */
export function across(time: number, chart: Chart): number {
  return (time - chart.begin) / (chart.end - chart.begin);
}

/** The value at the upper edge for a line. */
export function topOf(of: Series['of'], chart: Chart): number {
  const ticks = of === 'rate' ? chart.rates : chart.nodes;
  return ticks[ticks.length - 1]?.at || 1;
}

/** The distance of a value from the upper edge, as a part of the height. */
export function down(value: number, top: number): number {
  return 1 - value / top;
}

/** The points of a line as SVG has them. */
export function linePoints(line: Series, chart: Chart): string {
  const top = topOf(line.of, chart);
  const points = line.is_steps ? asSteps(line.points) : line.points;
  const drawn = points.map(([time, value]) => {
    const x = WIDTH * across(time, chart);
    return `${x.toFixed(1)},${(HEIGHT * down(value, top)).toFixed(2)}`;
  });
  // A line of one point has no length: twice the point, a round cap shows it.
  return [...drawn, ...drawn.slice(-1)].join(' ');
}

/** What is between a line and the lower edge, as the points of a polygon. */
export function areaPoints(line: Series, chart: Chart): string {
  const [first, last] = [line.points[0], line.points[line.points.length - 1]];
  if (!first || !last) {
    return '';
  }
  const edge = (time: number): string =>
    `${(WIDTH * across(time, chart)).toFixed(1)},${HEIGHT}`;
  return `${edge(first[0])} ${linePoints(line, chart)} ${edge(last[0])}`;
}

/** A count holds until the next one: a point at each change's foot and one at its head. */
function asSteps(points: Series['points']): Series['points'] {
  const steps: Series['points'] = [];
  let before: number | undefined;
  for (const [time, value] of points) {
    if (before !== undefined && before !== value) {
      steps.push([time, before]);
    }
    steps.push([time, value]);
    before = value;
  }
  return steps;
}

/** The time of the rate's point that is nearest to a place; none where there is no point. */
export function nearestTime(place: number, chart: Chart): number | null {
  const times = timesOf(chart);
  const wanted = chart.begin + place * (chart.end - chart.begin);
  const distance = (time: number): number => Math.abs(time - wanted);
  return times.reduce<number | null>(
    (best, time) =>
      best === null || distance(time) < distance(best) ? time : best,
    null
  );
}

/** The time of the point so many steps after that of a time; the last one where there is none. */
export function timeAfter(
  time: number | null,
  steps: number,
  chart: Chart
): number | null {
  const times = timesOf(chart);
  const now = time === null ? -1 : times.findIndex(one => one >= time);
  const from = now < 0 ? times.length - (steps < 0 ? 0 : 1) : now;
  const to = Math.min(Math.max(from + steps, 0), times.length - 1);
  return times[to] ?? null;
}

function timesOf(chart: Chart): number[] {
  const rate = chart.series.find(line => line.of === 'rate');
  return rate?.points.map(([time]) => time) ?? [];
}

/** What all lines say at a moment; none where it has left the chart. */
export function readAt(time: number, chart: Chart): IReading | null {
  if (time < chart.begin || time > chart.end) {
    return null;
  }
  const values = chart.series.flatMap(line => {
    const held = line.points.filter(([at]) => at <= time).pop();
    const value = held?.[1] ?? 0;
    const text = value.toLocaleString('en', {
      minimumFractionDigits: line.is_steps ? 0 : 1,
      maximumFractionDigits: line.is_steps ? 0 : 1
    });
    return held ? [{ of: line.of, label: line.label, text }] : [];
  });
  return { across: across(time, chart), clock: clockOf(time, chart), values };
}

/** The time of day by the clock of the chart's other words. */
function clockOf(time: number, chart: Chart): string {
  const there = new Date((time + chart.utc_offset) * 1000);
  return there.toISOString().slice(11, 19);
}

/** The marks of each kind of decision, from the left to the right, kinds as the chart has them. */
export function marksOf(chart: Chart): { kind: string; marks: IMark[] }[] {
  const kinds = [...new Set(chart.decisions.map(decision => decision.kind))];
  return kinds.map(kind => ({ kind, marks: marksOfKind(kind, chart) }));
}

function marksOfKind(kind: string, chart: Chart): IMark[] {
  const marks: IMark[] = [];
  const decisions = chart.decisions.filter(one => one.kind === kind);
  for (const decision of decisions.sort((a, b) => a.time - b.time)) {
    const place = Math.max(0, across(decision.time, chart));
    const last = marks[marks.length - 1];
    if (last && place - last.across < NEAR) {
      last.decisions.push(decision);
    } else {
      marks.push({ across: place, decisions: [decision] });
    }
  }
  return marks;
}
