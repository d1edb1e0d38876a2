import type { TranslationBundle } from '@jupyterlab/translation';
import { classes, closeIcon } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';

import { IconButton } from './IconButton';
import type { ITold } from './useAttempt';

export interface INoticeProps {
  told: ITold;
  onClose: () => void;
  trans: TranslationBundle;
}

/** What has come of what was done. */
export function Notice({ told, onClose, trans }: INoticeProps): ReactElement {
  return (
    <div
      className={classes('jc-Notice', told.isFailure ? 'jc-mod-bad' : '')}
      role={told.isFailure ? 'alert' : 'status'}
    >
      <span>{told.text}</span>
      <IconButton
        icon={closeIcon}
        label={trans.__('Close')}
        onClick={onClose}
      />
    </div>
  );
}
