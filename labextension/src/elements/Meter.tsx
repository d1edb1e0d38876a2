import { classes } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';

import type { Bar } from '../api/types';
import { meaningClass } from './looks';

export interface IMeterProps {
  bar: Bar;
}

/** How far something is: a bar of parts, whose words are said and shown to who points at it. */
export function Meter({ bar }: IMeterProps): ReactElement {
  return (
    <span
      className="jc-Meter"
      role="img"
      aria-label={bar.text}
      title={bar.text}
    >
      {bar.shares.map((part, at) => (
        <span
          key={at}
          className={classes('jc-Meter-part', meaningClass(part.meaning))}
          style={{ width: `${(100 * part.share).toFixed(1)}%` }}
        />
      ))}
    </span>
  );
}
