import { Poll } from '@lumino/polling';
import { useEffect, useState } from 'react';

import { type ILogs, NO_LOGS, sinceOf, withAnswer } from './logs';
import { sentenceOf } from './sentence';
import type { IClusterSource } from './source';

const EVERY_MS = 1000;
const BACK_OFF_MS = 10_000;

export interface IFollowedLogs {
  logs: ILogs;

  /** Whether the first answer has come. */
  isThere: boolean;

  /** Why there is no news. */
  problem: string;
}

/** Follows what tasks of a node and of a job write, as long as it can be seen. */
export function useLogs(
  requests: Pick<IClusterSource, 'logs'>,
  node: string,
  job: string,
  isShown: () => boolean
): IFollowedLogs {
  const [followed, setFollowed] = useState<IFollowedLogs>({
    logs: NO_LOGS,
    isThere: false,
    problem: ''
  });
  useEffect(() => {
    const filter = { ...(node && { node }), ...(job && { job }) };
    const ending = new AbortController();
    let logs = NO_LOGS;
    const ask = async (): Promise<void> => {
      try {
        const since = sinceOf(logs);
        const answer = await requests.logs(filter, since, ending.signal);
        logs = withAnswer(logs, answer);
        setFollowed({ logs, isThere: true, problem: '' });
      } catch (error) {
        if (!ending.signal.aborted) {
          const problem = sentenceOf(error);
          setFollowed(before => ({ ...before, isThere: true, problem }));
        }
        throw error;
      }
    };
    const poll = new Poll({
      name: 'jupyter-cluster:logs',
      factory: ask,
      frequency: { interval: EVERY_MS, backoff: true, max: BACK_OFF_MS },
      standby: () => (isShown() ? 'when-hidden' : true)
    });
    return () => {
      ending.abort();
      poll.dispose();
    };
  }, [requests, node, job, isShown]);
  return followed;
}
