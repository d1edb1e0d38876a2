import { Button, classes } from '@jupyterlab/ui-components';
import { type ReactElement, useState } from 'react';

import type { Action } from '../api/types';

/** Does what a button says; the button waits for the promise. */
export type OnAction = (action: Action) => unknown;

export interface IActionButtonProps {
  action: Action;
  onAction: OnAction;

  /** Whether there is nothing to do at present. */
  isIdle?: boolean;
}

/** A button whose name says what it does and to what; it takes no click while it is at it. */
export function ActionButton(props: IActionButtonProps): ReactElement {
  const { action, onAction, isIdle = false } = props;
  const [isBusy, setBusy] = useState(false);
  const isOff = isBusy || isIdle;
  const act = async (): Promise<void> => {
    if (isOff) {
      return;
    }
    setBusy(true);
    try {
      await onAction(action);
    } finally {
      setBusy(false);
    }
  };
  // Not `disabled`, which would take the focus from who works with the keyboard.
  return (
    <Button
      className={classes(
        'jc-ActionButton',
        action.question ? 'jc-mod-danger' : ''
      )}
      small
      type="button"
      aria-label={`${action.label} ${action.about}`}
      aria-disabled={isOff || undefined}
      aria-busy={isBusy || undefined}
      onClick={() => void act()}
    >
      <span className="jc-Label">{action.label}</span>
    </Button>
  );
}
