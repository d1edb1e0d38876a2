import { classes } from '@jupyterlab/ui-components';
import { memo, type ReactElement } from 'react';

import type { Decision } from '../api/types';
import { isSame, meaningClass } from './looks';

export interface IEventLogProps {
  events: readonly Decision[];

  /** Why there is none. */
  blank: string;
}

/** What has happened and why, newest first. */
export function EventLog({ events, blank }: IEventLogProps): ReactElement {
  if (blank) {
    return <p className="jc-Blank">{blank}</p>;
  }
  return (
    <ol className="jc-EventLog">
      {events.map(event => (
        <Line key={event.number} event={event} />
      ))}
    </ol>
  );
}

const Line = memo(function Line({ event }: { event: Decision }): ReactElement {
  return (
    <li className={classes('jc-EventLog-line', meaningClass(event.meaning))}>
      <span className="jc-EventLog-clock">{event.clock}</span>
      <Symbol of={event} />
      <span className="jc-EventLog-text">{event.text}</span>
    </li>
  );
}, isSame);

/** One character for the kind of an event; read aloud is the kind itself. */
export function Symbol({ of }: { of: Decision }): ReactElement {
  return (
    <span
      className={classes('jc-Symbol', meaningClass(of.meaning))}
      role="img"
      aria-label={of.kind}
      title={of.kind}
    >
      {of.symbol}
    </span>
  );
}
