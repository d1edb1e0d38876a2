import views from './fixtures/views.json';
import type { ClusterView } from '../api/types';

/** Views as the server sends them, made by `python tests/shown.py`. */
export const VIEWS = views as unknown as Record<
  keyof typeof views,
  ClusterView
>;

/** Fields that are read by programs. */
const UNREAD = new Set([
  'meaning',
  'kind',
  'key',
  'node_type',
  'do',
  'target',
  'of',
  'unit'
]);

/** The texts of a view that are there to be read, with the way to each. */
export function wordsOf(part: unknown, way = ''): [string, string][] {
  if (typeof part === 'string') {
    return part ? [[way, part]] : [];
  }
  if (typeof part !== 'object' || part === null) {
    return [];
  }
  return Object.entries(part)
    .filter(([name]) => !UNREAD.has(name))
    .flatMap(([name, value]) => wordsOf(value, `${way}.${name}`));
}

/** All that can be read of an element: its texts, and what is said of its parts. */
export function readable(root: Element): string {
  const said = [...root.querySelectorAll('*')].flatMap(element =>
    ['aria-label', 'title'].map(name => element.getAttribute(name) ?? '')
  );
  const inputs = [...root.querySelectorAll('input')].map(input => input.value);
  return [root.textContent, ...said, ...inputs].join('\n');
}
