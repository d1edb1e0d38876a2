import { JSONExt, type PartialJSONValue } from '@lumino/coreutils';
import type {
  Card,
  ClusterView,
  Operation,
  Overview,
  Words
} from '../api/types';

/** How the Jupyter server is reached. */
export type Connection =
  | { readonly phase: 'connecting' }
  | { readonly phase: 'connected' }
  /**
   * It does not answer, or not as it should, which the message says; `retryAt` is a time in
   * milliseconds, as of `Date.now`.
   */
  | {
      readonly phase: 'away';
      readonly message: string;
      readonly retryAt: number;
    }
  /** It answers and does not know our routes. */
  | {
      readonly phase: 'absent';
      readonly message: string;
      readonly retryAt: number;
    };

/** All that is known of the clusters; what has not changed stays the same object. */
export interface IClusters {
  readonly connection: Connection;
  /** Whether the server has told of the clusters at least once. */
  readonly isKnown: boolean;
  readonly names: readonly string[];
  readonly cards: ReadonlyMap<string, Card>;
  readonly views: ReadonlyMap<string, ClusterView>;
  readonly operations: readonly Operation[];
  readonly summary: Words;
}

export const NOTHING: IClusters = {
  connection: { phase: 'connecting' },
  isKnown: false,
  names: [],
  cards: new Map(),
  views: new Map(),
  operations: [],
  summary: { text: '', meaning: '', hint: '' }
};

/** What is known after the server has told of a change. */
export function merge(
  old: IClusters,
  news: Overview,
  open: readonly string[]
): IClusters {
  return {
    connection: old.connection,
    isKnown: true,
    names: same(old.names, news.names),
    cards: mergeNamed(old.cards, news.cards, news.names),
    views: mergeNamed(old.views, news.views, open),
    operations: mergeOperations(old.operations, news.operations),
    summary: same(old.summary, news.summary)
  };
}

/** With an operation that has just begun, before the server tells of it by itself. */
export function withOperation(old: IClusters, begun: Operation): IClusters {
  if (old.operations.some(operation => operation.id === begun.id)) {
    return old;
  }
  return { ...old, operations: [begun, ...old.operations] };
}

/** Without an operation, before the server tells that it is forgotten. */
export function withoutOperation(old: IClusters, id: string): IClusters {
  const left = old.operations.filter(operation => operation.id !== id);
  return left.length === old.operations.length
    ? old
    : { ...old, operations: left };
}

/** The operations that went on before and are over now. */
export function justEnded(
  old: IClusters,
  now: IClusters
): readonly Operation[] {
  if (old.operations === now.operations) {
    return [];
  }
  const going = new Set(
    old.operations.filter(one => !one.is_over).map(one => one.id)
  );
  return now.operations.filter(one => one.is_over && going.has(one.id));
}

/** The old value where the new one says the same, so that nothing is drawn anew for it. */
function same<T>(old: T, now: T): T {
  return isEqual(old, now) ? old : now;
}

function isEqual(one: unknown, other: unknown): boolean {
  return JSONExt.deepEqual(one as PartialJSONValue, other as PartialJSONValue);
}

function mergeNamed<T extends { name: string }>(
  old: ReadonlyMap<string, T>,
  news: readonly T[],
  kept: readonly string[]
): ReadonlyMap<string, T> {
  const changed = new Map(news.map(one => [one.name, one]));
  const merged = new Map<string, T>();
  let isChanged = false;
  for (const name of kept) {
    const [was, is] = [old.get(name), changed.get(name)];
    const now = was && is ? same(was, is) : (is ?? was);
    if (now) {
      merged.set(name, now);
    }
    isChanged ||= now !== was;
  }
  return isChanged || merged.size !== old.size ? merged : old;
}

function mergeOperations(
  old: readonly Operation[],
  news: readonly Operation[]
): readonly Operation[] {
  const known = new Map(old.map(one => [one.id, one]));
  const merged = news.map(one => same(known.get(one.id) ?? one, one));
  const isSame =
    merged.length === old.length && merged.every((one, at) => one === old[at]);
  return isSame ? old : merged;
}
