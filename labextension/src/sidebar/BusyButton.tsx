import { Button, classes } from '@jupyterlab/ui-components';
import { type ReactElement, type ReactNode, useState } from 'react';

export interface IBusyButtonProps {
  /** What it does, and to what, for who cannot see where it stands. */
  label: string;
  className?: string;
  onClick: () => Promise<void>;
  children: ReactNode;
}

/** A button that takes no click while what it does goes on. */
export function BusyButton(props: IBusyButtonProps): ReactElement {
  const { label, className = '', onClick, children } = props;
  const [isBusy, setBusy] = useState(false);
  const click = async (): Promise<void> => {
    if (isBusy) {
      return;
    }
    setBusy(true);
    try {
      await onClick();
    } finally {
      setBusy(false);
    }
  };
  // Not `disabled`, which would take the focus from who works with the keyboard.
  return (
    <Button
      className={classes('jc-Button', className)}
      small
      type="button"
      aria-label={label}
      title={label}
      aria-disabled={isBusy || undefined}
      onClick={() => void click()}
    >
      {children}
    </Button>
  );
}
