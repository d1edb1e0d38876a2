import { classes } from '@jupyterlab/ui-components';
import { type ReactElement, useRef, useState } from 'react';

import type { Chart } from '../api/types';
import { type IMark, marksOf } from './geometry';
import { meaningClass } from './looks';

// So many reasons are shown at once; those of a mark beyond that are in the event log.
const SHOWN_REASONS = 8;

export interface IDecisionMarksProps {
  chart: Chart;
}

/**
 * Why a cluster scaled: a mark for each decision at its time, a lane for each kind, and the reasons
 * of the one that has the pointer or the focus. The keyboard stops once and goes on by arrow keys.
 */
export function DecisionMarks({
  chart
}: IDecisionMarksProps): ReactElement | null {
  const root = useRef<HTMLDivElement>(null);
  const [shown, setShown] = useState<string | null>(null);
  const [reached, setReached] = useState<string | null>(null);
  const lanes = marksOf(chart);
  if (!lanes.length) {
    return null;
  }
  const keys = lanes.flatMap(({ marks }) => marks.map(keyOf));
  const stop = reached !== null && keys.includes(reached) ? reached : keys[0];
  const press = (event: React.KeyboardEvent): void => {
    const steps = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const to = steps && stop !== undefined && keys.indexOf(stop) + steps;
    if (event.key === 'Escape') {
      setShown(null);
    } else if (typeof to === 'number' && keys[to] !== undefined) {
      event.preventDefault();
      root.current?.querySelectorAll('button')[to]?.focus();
    }
  };
  return (
    <div
      className="jc-DecisionMarks"
      ref={root}
      role="toolbar"
      aria-label={Object.values(chart.legend).join(', ')}
      onKeyDown={press}
    >
      {lanes.map(({ kind, marks }) => (
        <div key={kind} className="jc-DecisionMarks-lane">
          {marks.map(mark => {
            const key = keyOf(mark);
            return (
              <Mark
                key={key}
                mark={mark}
                isStop={key === stop}
                isShown={key === shown}
                onShow={() => setShown(key)}
                onHide={() => setShown(null)}
                onReach={() => {
                  setReached(key);
                  setShown(key);
                }}
              />
            );
          })}
        </div>
      ))}
    </div>
  );
}

interface IMarkProps {
  mark: IMark;
  isStop: boolean;
  isShown: boolean;
  onShow: () => void;
  onHide: () => void;
  onReach: () => void;
}

function Mark(props: IMarkProps): ReactElement {
  const { decisions, across } = props.mark;
  const reasons = decisions.map(({ clock, text }) => `${clock} ${text}`);
  const meaning = decisions[0]?.meaning ?? '';
  return (
    <span
      className="jc-DecisionMarks-mark"
      style={{ left: `${(100 * across).toFixed(2)}%` }}
    >
      <button
        type="button"
        className={classes('jc-Symbol', meaningClass(meaning))}
        tabIndex={props.isStop ? 0 : -1}
        aria-label={reasons.join('\n')}
        onPointerEnter={props.onShow}
        onPointerLeave={props.onHide}
        onFocus={props.onReach}
        onBlur={props.onHide}
      >
        {decisions[0]?.symbol}
        {decisions.length > 1 && <small>{decisions.length}</small>}
      </button>
      {props.isShown && (
        <span
          aria-hidden
          className={classes('jc-Tip', across > 0.5 ? 'jc-mod-flipped' : '')}
        >
          {reasons.length > SHOWN_REASONS && <span>…</span>}
          {reasons.slice(-SHOWN_REASONS).map((reason, at) => (
            <span key={at} className="jc-Tip-reason">
              {reason}
            </span>
          ))}
        </span>
      )}
    </span>
  );
}

function keyOf(mark: IMark): string {
  return String(mark.decisions[0]?.number);
}
