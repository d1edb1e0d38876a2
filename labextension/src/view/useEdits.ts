import { useEffect, useState } from 'react';

import type { Limit } from '../api/types';

/** So long the numbers that were sent are shown, until the cluster tells its own. */
const SENT_MS = 3000;

export interface IEdits {
  /** What stands in a field: what was typed, or else the number that there is. */
  textOf: (limit: Limit) => string;
  edit: (limit: Limit, text: string) => void;

  /** Gives a field back the number that there is. */
  leave: (limit: Limit) => void;

  /** The limits in whose fields another number stands, with that. */
  changed: () => [Limit, number][];

  /** What was typed has been asked for. */
  sent: () => void;
}

/** What is typed into the fields of limits stays while the numbers that there are change. */
export function useEdits(limits: readonly Limit[]): IEdits {
  const [typed, setTyped] = useState<Readonly<Record<string, string>>>({});
  const [sentAt, setSentAt] = useState(0);
  useEffect(() => {
    if (!sentAt) {
      return;
    }
    const timer = setTimeout(() => {
      setTyped({});
      setSentAt(0);
    }, SENT_MS);
    return () => clearTimeout(timer);
  }, [sentAt]);
  const textOf = (limit: Limit): string =>
    typed[limit.node_type] ?? String(limit.value);
  return {
    textOf,
    edit: (limit, text) => {
      setSentAt(0);
      setTyped(before => ({ ...before, [limit.node_type]: text }));
    },
    leave: limit =>
      setTyped(before => {
        const others = { ...before };
        delete others[limit.node_type];
        return others;
      }),
    changed: () =>
      sentAt
        ? []
        : limits
            .filter(limit => textOf(limit) !== String(limit.value))
            .map(limit => [limit, Number(textOf(limit))]),
    sent: () => setSentAt(Date.now())
  };
}
