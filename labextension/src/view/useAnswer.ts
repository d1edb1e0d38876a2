import { useCallback, useEffect, useState } from 'react';

import { sentenceOf } from './sentence';

export interface IAnswer<T> {
  /** What was answered last. */
  answer: T | null;

  /** Why the last question was not answered. */
  problem: string;
  isAsking: boolean;
  askAgain: () => void;
}

interface IHeard<T> {
  question: number;
  answer: T | null;
  problem: string;
}

/** Asks when it is first shown, and again where that is wanted; `ask` stays the same function. */
export function useAnswer<T>(ask: () => Promise<T>): IAnswer<T> {
  const [question, setQuestion] = useState(1);
  const [heard, setHeard] = useState<IHeard<T>>({
    question: 0,
    answer: null,
    problem: ''
  });
  useEffect(() => {
    let isWanted = true;
    const hear = (answer: T | null, problem: string): void => {
      if (isWanted) {
        setHeard({ question, answer, problem });
      }
    };
    ask().then(
      answer => hear(answer, ''),
      error => hear(null, sentenceOf(error))
    );
    return () => {
      isWanted = false;
    };
  }, [ask, question]);
  const askAgain = useCallback(() => setQuestion(number => number + 1), []);
  const { answer, problem } = heard;
  return { answer, problem, isAsking: heard.question !== question, askAgain };
}
