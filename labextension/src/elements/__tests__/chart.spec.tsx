import { act, fireEvent, render, screen } from '@testing-library/react';

import type { Chart, Decision } from '../../api/types';
import { readable, VIEWS, wordsOf } from '../../__tests__/words';
import { CourseChart } from '..';
import { marksOf, nearestTime, readAt, timeAfter } from '../geometry';

const { chart } = VIEWS.running;

function pointsOf(container: Element, of: string): [number, number][] {
  const line = container.querySelector(`polyline[data-series="${of}"]`)!;
  return line
    .getAttribute('points')!
    .split(' ')
    .map(pair => pair.split(',').map(Number) as [number, number]);
}

describe('the chart', () => {
  it.each(Object.entries(VIEWS))('has every word: %s', (_, view) => {
    const { container } = render(<CourseChart chart={view.chart} />);
    const shown = readable(container);
    for (const [way, text] of wordsOf(view.chart)) {
      // The symbol and the time of a decision stand once where several are one mark.
      expect([way, shown]).toEqual([way, expect.stringContaining(text)]);
    }
  });

  it('has one line for each series, with its points', () => {
    const { container } = render(<CourseChart chart={chart} />);
    expect(container.querySelectorAll('polyline')).toHaveLength(
      chart.series.length
    );
    for (const line of chart.series) {
      const values = line.points.map(([, value]) => value);
      const changes = values.filter(
        (value, at) => at > 0 && value !== values[at - 1]
      ).length;
      const expected = values.length + (line.is_steps ? changes : 0);
      // The last point stands twice.
      expect(pointsOf(container, line.of)).toHaveLength(expected + 1);
    }
  });

  it('draws rates to the left axis and nodes to the right one', () => {
    const { container } = render(<CourseChart chart={chart} />);
    const top = chart.rates[chart.rates.length - 1]!.at;
    const [first, last] = [
      chart.series[0]!.points[0]!,
      chart.series[0]!.points.at(-1)!
    ];
    const rate = pointsOf(container, 'rate');
    expect(rate[0]).toEqual([0, 100 * (1 - first[1] / top)]);
    expect(rate.at(-1)![0]).toBe(1000);
    expect(rate.at(-1)![1]).toBeCloseTo(100 * (1 - last[1] / top), 1);
    const most = chart.nodes[chart.nodes.length - 1]!.at;
    const nodes = pointsOf(container, 'nodes');
    expect(nodes.at(-1)![1]).toBe(
      100 * (1 - chart.series[1]!.points.at(-1)![1] / most)
    );
  });

  it('is a sentence to who does not see it', () => {
    render(<CourseChart chart={chart} />);
    expect(screen.getByRole('img', { name: chart.said })).toBeTruthy();
  });

  it('says why it is blank', () => {
    render(<CourseChart chart={VIEWS.unknown.chart} />);
    expect(screen.getByText(VIEWS.unknown.chart.blank)).toBeTruthy();
  });

  it('shows the values at the pointer, and hides them when it leaves', () => {
    const { container } = render(<CourseChart chart={chart} />);
    const plot = screen.getByRole('img', { name: chart.said });
    plot.getBoundingClientRect = () =>
      ({ left: 100, width: 200 }) as unknown as DOMRect;
    fireEvent(
      plot,
      new MouseEvent('pointermove', { clientX: 300, bubbles: true })
    );
    const tip = screen.getByRole('status');
    expect(tip.textContent).toContain('images per second 4.8');
    expect(tip.textContent).toContain('nodes ready 2');
    expect(tip.textContent).toContain('nodes booting 0');
    expect(container.querySelector('.jc-CourseChart-hair')).toBeTruthy();
    fireEvent.pointerLeave(plot);
    fireEvent(plot, new MouseEvent('pointerout', { bubbles: true }));
    expect(tip.textContent).toBe('');
  });

  it('is read with the arrow keys', () => {
    render(<CourseChart chart={chart} />);
    const plot = screen.getByRole('img', { name: chart.said });
    const clock = () => screen.getByRole('status').textContent.slice(0, 8);
    fireEvent.keyDown(plot, { key: 'ArrowLeft' });
    const last = clock();
    fireEvent.keyDown(plot, { key: 'ArrowLeft' });
    expect(clock() < last).toBe(true);
    fireEvent.keyDown(plot, { key: 'Escape' });
    expect(clock()).toBe('');
  });
});

describe('decisions', () => {
  it('show their reasons at the pointer and at the focus', () => {
    render(<CourseChart chart={chart} />);
    const why = chart.decisions.find(one => one.kind === 'error')!;
    const mark = screen.getByRole('button', {
      name: `${why.clock} ${why.text}`
    });
    fireEvent.focus(mark);
    expect(mark.parentElement?.querySelector('.jc-Tip')?.textContent).toBe(
      `${why.clock} ${why.text}`
    );
    fireEvent.blur(mark);
    expect(mark.parentElement?.querySelector('.jc-Tip')).toBeNull();
  });

  it('are one stop of the keyboard, and go on by arrow keys', () => {
    render(<CourseChart chart={chart} />);
    const marks = screen.getAllByRole('button');
    const stops = () => marks.map(mark => mark.tabIndex);
    expect(stops()).toEqual([0, ...marks.slice(1).map(() => -1)]);
    act(() => marks[0]!.focus());
    fireEvent.keyDown(marks[0]!, { key: 'ArrowRight' });
    expect(document.activeElement).toBe(marks[1]);
    expect(stops()[1]).toBe(0);
  });

  it('of one kind that stand close are one mark with all reasons', () => {
    const at = (number: number, time: number): Decision => ({
      ...chart.decisions[0]!,
      number,
      time,
      text: `why ${number}`
    });
    const long: Chart = {
      ...chart,
      begin: 0,
      end: 1000,
      decisions: [at(1, 100), at(2, 110), at(3, 500)]
    };
    const [lane] = marksOf(long);
    expect(
      lane?.marks.map(mark => mark.decisions.map(one => one.number))
    ).toEqual([[1, 2], [3]]);
  });
});

describe('a reading', () => {
  it('is of the nearest moment that was told', () => {
    const points = chart.series[0]!.points;
    expect(nearestTime(0, chart)).toBe(points[0]![0]);
    expect(nearestTime(1, chart)).toBe(points.at(-1)![0]);
    expect(nearestTime(0, VIEWS.unknown.chart)).toBeNull();
  });

  it('ends at the edges', () => {
    const times = chart.series[0]!.points.map(([time]) => time);
    expect(timeAfter(times[0]!, -1, chart)).toBe(times[0]);
    expect(timeAfter(times[3]!, 1, chart)).toBe(times[4]);
    expect(timeAfter(null, -1, chart)).toBe(times.at(-1));
    expect(timeAfter(null, 1, chart)).toBe(times.at(-1));
  });

  it('has the clock of the chart, and none once the moment has left it', () => {
    const there = { ...chart, utc_offset: 3600 };
    const time = chart.series[0]!.points[5]![0];
    const hour = (shown: Chart) =>
      Number(readAt(time, shown)?.clock.slice(0, 2));
    expect((hour(there) - hour(chart) + 24) % 24).toBe(1);
    expect(readAt(chart.begin - 1, chart)).toBeNull();
  });
});
