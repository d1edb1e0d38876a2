import { fireEvent, render, screen, waitFor } from '@testing-library/react';

import type { Table } from '../../api/types';
import { readable, VIEWS, wordsOf } from '../../__tests__/words';
import {
  ActionButton,
  DataTable,
  EventLog,
  Meter,
  Pill,
  SparkLine,
  Tiles
} from '..';
import { sparkPoints } from '../SparkLine';

const { running, markup } = VIEWS;
const CANCEL = running.jobs.rows[0]!.cells.at(-1)!.action!;

describe('a pill', () => {
  it('has its words, its meaning and its hint', () => {
    render(
      <Pill words={{ text: 'ended', meaning: 'off', hint: 'by its owner' }} />
    );
    const pill = screen.getByText('ended');
    expect(pill.className).toBe('jc-Pill jc-mod-off');
    expect(pill.title).toBe('by its owner');
    expect(pill.textContent).toBe('ended: by its owner');
  });
});

describe('a meter', () => {
  it('has a part for each share and says the same in words', () => {
    const bar = running.jobs.rows[0]!.cells[1]!.bar!;
    render(<Meter bar={bar} />);
    const meter = screen.getByRole('img', { name: bar.text });
    const widths = [...meter.children].map(
      part => (part as HTMLElement).style.width
    );
    expect(widths).toEqual(['25.0%', '7.5%', '2.5%']);
  });
});

describe('a button', () => {
  it('is named by what it does and to what', () => {
    render(<ActionButton action={CANCEL} onAction={() => undefined} />);
    const button = screen.getByRole('button', { name: 'cancel job posters' });
    expect(button.className).not.toContain('jc-mod-danger');
  });

  it('looks dangerous where something is asked first', () => {
    const action = { ...CANCEL, question: 'Cancel it?' };
    render(<ActionButton action={action} onAction={() => undefined} />);
    expect(screen.getByRole('button').className).toContain('jc-mod-danger');
  });

  it('takes no second click while it is at it', async () => {
    let finish: () => void = () => undefined;
    const take = jest.fn(
      () => new Promise<void>(resolve => (finish = resolve))
    );
    render(<ActionButton action={CANCEL} onAction={take} />);
    const button = screen.getByRole('button');
    fireEvent.click(button);
    fireEvent.click(button);
    expect(take).toHaveBeenCalledTimes(1);
    expect(button.getAttribute('aria-disabled')).toBe('true');
    finish();
    await waitFor(() =>
      expect(button.getAttribute('aria-disabled')).toBeNull()
    );
    fireEvent.click(button);
    expect(take).toHaveBeenCalledTimes(2);
    expect(take).toHaveBeenLastCalledWith(CANCEL);
  });
});

describe('tiles', () => {
  it('have all their words', () => {
    const { container } = render(<Tiles tiles={running.tiles} />);
    for (const [, text] of wordsOf(running.tiles)) {
      expect(container.textContent).toContain(text);
    }
    expect(container.querySelectorAll('.jc-Tile.jc-mod-bad')).toHaveLength(1);
  });
});

describe('a spark line', () => {
  it('reaches from edge to edge', () => {
    expect(sparkPoints([0, 5, 10])).toBe('0.0,22.0 50.0,12.0 100.0,2.0');
    expect(sparkPoints([0, 0])).toBe('0.0,22.0 100.0,22.0');
    expect(sparkPoints([3])).toBe('0.0,2.0 100.0,2.0');
    expect(sparkPoints([])).toBe('');
  });

  it('is said in a sentence', () => {
    render(<SparkLine spark={{ values: [1, 2], said: 'now 2' }} />);
    expect(screen.getByRole('img', { name: 'now 2' })).toBeTruthy();
  });
});

describe('a table', () => {
  const draw = (table: Table) =>
    render(<DataTable table={table} onAction={() => undefined} />).container;

  it.each(Object.entries(VIEWS))('has every word: %s', (_, view) => {
    for (const table of [view.jobs, view.nodes]) {
      const shown = readable(draw(table));
      for (const [way, text] of wordsOf(table)) {
        expect([way, shown]).toEqual([way, expect.stringContaining(text)]);
      }
    }
  });

  it('has columns of numbers and columns that may go', () => {
    const container = draw(running.nodes);
    const heads = [...container.querySelectorAll('thead th')];
    const classOf = (title: string) =>
      heads.find(head => head.textContent === title)?.className;
    expect(classOf('slots')).toBe('jc-mod-number');
    expect(classOf('memory')).toBe('jc-mod-number jc-mod-optional');
    const [cell] = container.querySelectorAll('tbody .jc-mod-optional');
    expect(cell?.textContent).toContain('local');
  });

  it('keeps the elements of a row that moves', () => {
    const table = running.jobs;
    const { container, rerender } = render(<DataTable table={table} />);
    const before = [...container.querySelectorAll('tbody tr')];
    const turned = { ...table, rows: [...table.rows].reverse() };
    rerender(<DataTable table={turned} />);
    const after = [...container.querySelectorAll('tbody tr')];
    expect(after).toEqual([...before].reverse());
  });

  it('counts its rows, which are not all shown', () => {
    const shown = draw({ ...running.jobs, count: 1234, more: 'and more' });
    expect(shown.textContent).toContain('1,234');
    expect(shown.textContent).toContain('and more');
  });

  it('shows names as text', () => {
    const container = draw(markup.jobs);
    expect(container.querySelector('b')).toBeNull();
    expect(container.querySelector('tbody th')?.textContent).toBe(
      '<b onclick="x">&'
    );
  });
});

describe('the event log', () => {
  it('has a line for each event, newest first', () => {
    const { container } = render(<EventLog events={running.events} blank="" />);
    const lines = [...container.querySelectorAll('li')];
    expect(lines).toHaveLength(running.events.length);
    expect(lines[0]?.textContent).toContain(running.events[0]!.text);
    expect(container.querySelector('li.jc-mod-bad')?.textContent).toMatch(/✕/);
  });

  it('says why it is blank', () => {
    render(<EventLog events={[]} blank="Nothing has happened yet." />);
    expect(screen.getByText('Nothing has happened yet.')).toBeTruthy();
  });
});
