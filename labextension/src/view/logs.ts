import type { LogLine } from '../api/types';

/** So many lines are kept; what is older is left out. */
export const MOST_LINES = 2000;

/** A line that is shown, or null where a head that was started anew counts from 1 again. */
export interface ILogEntry {
  key: string;
  line: LogLine | null;
}

/** What tasks have written, as far as it is kept. A value: `withAnswer` gives the next one. */
export interface ILogs {
  entries: readonly ILogEntry[];

  /** How many lines have been dropped. */
  leftOut: number;

  /** How often the head has begun to count anew. */
  run: number;

  /** The newest line. */
  last: LogLine | null;

  /** Whether the head may have forgotten the newest line, so that all it has is asked for. */
  isLost: boolean;
}

export const NO_LOGS: ILogs = {
  entries: [],
  leftOut: 0,
  run: 0,
  last: null,
  isLost: false
};

/** From which number on to ask: the newest line once more, which shows that the head is the same. */
export function sinceOf(logs: ILogs): number {
  return logs.last && !logs.isLost ? logs.last.number - 1 : 0;
}

/** What is shown once the head has answered to `sinceOf`. */
export function withAnswer(
  logs: ILogs,
  answer: readonly LogLine[],
  most = MOST_LINES
): ILogs {
  const { last, isLost } = logs;
  const first = answer[0];
  if (!first) {
    return last ? { ...logs, isLost: true } : logs;
  }
  if (!last || isLost) {
    const isAnew = last !== null && first.number <= last.number;
    return withLines({ ...logs, isLost: false }, answer, isAnew, most);
  }
  if (first.number !== last.number) {
    return withLines(logs, answer, false, most);
  }
  if (first.time !== last.time || first.text !== last.text) {
    return { ...logs, isLost: true };
  }
  return answer.length > 1
    ? withLines(logs, answer.slice(1), false, most)
    : logs;
}

function withLines(
  logs: ILogs,
  lines: readonly LogLine[],
  isAnew: boolean,
  most: number
): ILogs {
  const run = logs.run + (isAnew ? 1 : 0);
  const divider = isAnew ? [{ key: `${run}`, line: null }] : [];
  const added = lines.map(line => ({ key: `${run}:${line.number}`, line }));
  const all = [...logs.entries, ...divider, ...added];
  return {
    entries: all.slice(-most),
    leftOut: logs.leftOut + Math.max(0, all.length - most),
    run,
    last: lines[lines.length - 1] ?? logs.last,
    isLost: false
  };
}

/* eslint-disable no-control-regex */
// Colours and movements of a terminal's cursor; what else has no picture.
const SEQUENCES =
  /\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-_])/g;
const CONTROLS = /[\x00-\x08\x0b-\x1f\x7f]/g;
/* eslint-enable no-control-regex */

/** A line as a terminal would leave it: what a carriage return writes over is gone. */
export function plainText(text: string): string {
  const written = text.replace(SEQUENCES, '').split('\r').filter(Boolean);
  return (written[written.length - 1] ?? '').replace(CONTROLS, '');
}
