import type { Card, Operation, Overview } from '../api/types';

/** What a server may tell, with defaults. */
export function card(part: Partial<Card> = {}): Card {
  return {
    name: 'mine',
    state: { text: 'running', meaning: 'good', hint: '' },
    place: 'on this machine',
    blank: '',
    tiles: [],
    spark: { values: [], said: '' },
    jobs: [],
    more: '',
    problems: [],
    runs: true,
    actions: [],
    ...part
  };
}

export function operation(part: Partial<Operation> = {}): Operation {
  return {
    id: '1',
    verb: 'up',
    cluster: 'mine',
    state: { text: "starting cluster 'mine'", meaning: 'warn', hint: '' },
    lines: [],
    bar: null,
    is_over: false,
    interrupt: null,
    ...part
  };
}

export function overview(part: Partial<Overview> = {}): Overview {
  const summary = { text: '', meaning: '' as const, hint: '' };
  const names = part.cards?.map(({ name }) => name) ?? [];
  return { names, cards: [], operations: [], summary, views: [], ...part };
}
