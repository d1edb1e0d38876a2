import type { Words } from '../api/types';

/** The class of how something stands; none where there is nothing to say about it. */
export function meaningClass(meaning: Words['meaning']): string {
  return meaning && `jc-mod-${meaning}`;
}

/** Whether two plain values would be drawn alike: each update brings all values anew. */
export function isSame(one: unknown, other: unknown): boolean {
  return one === other || JSON.stringify(one) === JSON.stringify(other);
}
