import { Button, type LabIcon } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';

export interface IIconButtonProps {
  icon: LabIcon;

  /** What it does and to what. */
  label: string;
  onClick: () => void;
}

/** A button that is a picture. */
export function IconButton(props: IIconButtonProps): ReactElement {
  return (
    <Button
      className="jc-IconButton"
      minimal
      small
      type="button"
      aria-label={props.label}
      title={props.label}
      onClick={props.onClick}
    >
      <props.icon.react tag="span" />
    </Button>
  );
}
