import type { Card, ClusterView, Operation, Overview } from '../../api/types';
import {
  justEnded,
  merge,
  NOTHING,
  withOperation,
  withoutOperation
} from '../clusters';

function card(name: string, place = 'here'): Card {
  return {
    name,
    state: { text: 'running', meaning: 'good', hint: '' },
    place,
    blank: '',
    tiles: [],
    spark: { values: [], said: '' },
    jobs: [],
    more: '',
    problems: [],
    runs: true,
    actions: []
  };
}

function operation(id: string, isOver = false): Operation {
  return {
    id,
    verb: 'up',
    cluster: 'a',
    state: { text: isOver ? 'done' : 'starting', meaning: '', hint: '' },
    lines: [],
    bar: null,
    is_over: isOver,
    interrupt: null
  };
}

function overview(part: Partial<Overview>): Overview {
  const summary = { text: '', meaning: '' as const, hint: '' };
  return { names: [], cards: [], operations: [], summary, views: [], ...part };
}

describe('merge', () => {
  const first = merge(
    NOTHING,
    overview({
      names: ['b', 'a'],
      cards: [card('b'), card('a')],
      operations: [operation('1')]
    }),
    []
  );

  it('keeps the order of the names', () => {
    expect([...first.cards.keys()]).toEqual(['b', 'a']);
    expect(first.isKnown).toBe(true);
  });

  it('takes what has changed and keeps the rest as the same objects', () => {
    const news = overview({
      names: ['b', 'a'],
      cards: [card('a', 'there')],
      operations: [operation('1')]
    });
    const second = merge(first, news, []);
    expect(second.cards.get('a')?.place).toBe('there');
    expect(second.cards.get('b')).toBe(first.cards.get('b'));
    expect(second.names).toBe(first.names);
    expect(second.operations).toBe(first.operations);
    expect(second.summary).toBe(first.summary);
  });

  it('keeps all where the whole comes again and says the same', () => {
    const news = overview({ names: ['b', 'a'], cards: [card('a'), card('b')] });
    expect(merge(first, news, []).cards).toBe(first.cards);
  });

  it('forgets clusters that have gone', () => {
    const second = merge(first, overview({ names: ['a'] }), []);
    expect([...second.cards.keys()]).toEqual(['a']);
    expect(second.cards.get('a')).toBe(first.cards.get('a'));
  });

  it('keeps whole views of open clusters only', () => {
    const view = { name: 'a', place: 'here' } as ClusterView;
    const opened = merge(first, overview({ names: ['a'], views: [view] }), [
      'a'
    ]);
    expect(opened.views.get('a')).toBe(view);
    const quiet = merge(opened, overview({ names: ['a'] }), ['a']);
    expect(quiet.views).toBe(opened.views);
    expect(merge(quiet, overview({ names: ['a'] }), []).views.size).toBe(0);
  });
});

describe('operations', () => {
  const going = withOperation(NOTHING, operation('1'));

  it('are shown as they begin, once', () => {
    expect(going.operations.map(one => one.id)).toEqual(['1']);
    expect(withOperation(going, operation('1'))).toBe(going);
  });

  it('end once', () => {
    const over = merge(
      going,
      overview({ operations: [operation('1', true)] }),
      []
    );
    expect(justEnded(going, over).map(one => one.id)).toEqual(['1']);
    expect(justEnded(over, over)).toEqual([]);
    expect(justEnded(NOTHING, over)).toEqual([]);
  });

  it('are forgotten', () => {
    expect(withoutOperation(going, '1').operations).toEqual([]);
    expect(withoutOperation(going, '2')).toBe(going);
  });
});
