import { render } from '@testing-library/react';
import type { Limit, Plan } from '../../api/types';
import { capital, cut } from '../ask';
import { freeName } from '../newLocal';
import { PlanView } from '../plan';
import { changes } from '../scale';

const LIMITS: Limit[] = [
  { node_type: '', before: 'at most', value: 4, after: 'nodes' },
  { node_type: 'gpu', before: 'at least', value: 1, after: 'gpu' },
  { node_type: 'cpu', before: 'at least', value: 0, after: 'cpu' }
];

describe('limits', () => {
  it('are asked for where they are others', () => {
    expect(changes(LIMITS, new Map())).toBeNull();
    expect(changes(LIMITS, new Map([['', 4]]))).toBeNull();
    expect(changes(LIMITS, new Map([['', 0]]))).toEqual({ max_workers: 0 });
    expect(
      changes(
        LIMITS,
        new Map([
          ['', 9],
          ['gpu', 2],
          ['cpu', 0]
        ])
      )
    ).toEqual({ max_workers: 9, min_workers: { gpu: 2 } });
  });
});

describe('names', () => {
  it('are the first that are free', () => {
    expect(freeName([])).toBe('local');
    expect(freeName(['local', 'local-3'])).toBe('local-2');
    expect(freeName(['local', 'local-2'])).toBe('local-3');
  });

  it('begin with a capital in titles', () => {
    expect(capital('down cluster x')).toBe('Down cluster x');
    expect(capital('')).toBe('');
  });
});

describe('a text that is too long', () => {
  it('is cut at the end of a word', () => {
    expect(cut('short', 10)).toBe('short');
    expect(cut('a cluster of this name runs', 20)).toBe('a cluster of this…');
    expect(cut('x'.repeat(30), 10).length).toBeLessThanOrEqual(10);
  });
});

describe('a plan', () => {
  it('is shown whole, and its words as text', () => {
    const plan: Plan = {
      cluster: 'mine',
      lines: ['It costs <b>nothing</b>.'],
      table: null,
      notices: ['docker has no meaning here'],
      question: "Start cluster 'mine'?"
    };
    const { container } = render(<PlanView plan={plan} />);
    for (const words of [...plan.lines, ...plan.notices, plan.question]) {
      expect(container.textContent).toContain(words);
    }
    expect(container.querySelector('b')).toBeNull();
  });
});
