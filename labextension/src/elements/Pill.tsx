import { classes } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';

import type { Words } from '../api/types';
import { meaningClass } from './looks';

export interface IPillProps {
  words: Words;
}

/** How something stands. */
export function Pill({ words }: IPillProps): ReactElement {
  return (
    <span
      className={classes('jc-Pill', meaningClass(words.meaning))}
      title={words.hint || undefined}
    >
      {words.text}
      {words.hint && <span className="jc-Unseen">: {words.hint}</span>}
    </span>
  );
}
