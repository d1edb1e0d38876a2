import { card, operation, overview } from '../../__tests__/told';
import type { ClusterView } from '../../api/types';
import {
  justEnded,
  merge,
  NOTHING,
  withOperation,
  withoutOperation
} from '../clusters';

const A = card({ name: 'a' });
const B = card({ name: 'b' });
const OVER = operation({ is_over: true });

describe('merge', () => {
  const first = merge(
    NOTHING,
    overview({
      names: ['b', 'a'],
      cards: [B, A],
      operations: [operation()]
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
      cards: [card({ name: 'a', place: 'there' })],
      operations: [operation()]
    });
    const second = merge(first, news, []);
    expect(second.cards.get('a')?.place).toBe('there');
    expect(second.cards.get('b')).toBe(first.cards.get('b'));
    expect(second.names).toBe(first.names);
    expect(second.operations).toBe(first.operations);
    expect(second.summary).toBe(first.summary);
  });

  it('keeps all where the whole comes again and says the same', () => {
    const news = overview({
      names: ['b', 'a'],
      cards: [card({ name: 'a' }), card({ name: 'b' })]
    });
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
  const going = withOperation(NOTHING, operation());

  it('are shown as they begin, once', () => {
    expect(going.operations.map(one => one.id)).toEqual(['1']);
    expect(withOperation(going, operation())).toBe(going);
  });

  it('end once', () => {
    const over = merge(going, overview({ operations: [OVER] }), []);
    expect(justEnded(going, over).map(one => one.id)).toEqual(['1']);
    expect(justEnded(over, over)).toEqual([]);
    expect(justEnded(NOTHING, over)).toEqual([]);
  });

  it('are forgotten', () => {
    expect(withoutOperation(going, '1').operations).toEqual([]);
    expect(withoutOperation(going, '2')).toBe(going);
  });
});
