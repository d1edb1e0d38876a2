import { useCallback, useEffect, useState } from 'react';

import { sentenceOf } from './sentence';

/** So long it is said that something was done; what has failed stays until it is closed. */
const SAID_MS = 10_000;

/** What has come of what was done. */
export interface ITold {
  text: string;
  isFailure: boolean;
}

export interface IAttempts {
  /** Does something and keeps what comes of it; whether it was done. */
  attempt: (what: () => Promise<string | void>) => Promise<boolean>;
  told: ITold | null;
  forget: () => void;
}

/** Nothing that is tried fails in silence. */
export function useAttempt(): IAttempts {
  const [told, setTold] = useState<ITold | null>(null);
  const attempt = useCallback(
    async (what: () => Promise<string | void>): Promise<boolean> => {
      try {
        const text = await what();
        setTold(text ? { text, isFailure: false } : null);
        return true;
      } catch (error) {
        setTold({ text: sentenceOf(error), isFailure: true });
        return false;
      }
    },
    []
  );
  useEffect(() => {
    if (!told || told.isFailure) {
      return;
    }
    const timer = setTimeout(() => setTold(null), SAID_MS);
    return () => clearTimeout(timer);
  }, [told]);
  const forget = useCallback(() => setTold(null), []);
  return { attempt, told, forget };
}
