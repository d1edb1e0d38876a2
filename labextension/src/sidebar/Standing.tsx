import { classes } from '@jupyterlab/ui-components';
import type { ReactElement } from 'react';
import type { Connection } from '../state/clusters';
import { useHandlers } from './handlers';
import { BusyButton } from './BusyButton';

const ENABLE = 'jupyter server extension enable jupyter_cluster';

export interface IStandingProps {
  connection: Connection;
  /** Whether something is shown that may be old. */
  hasOld: boolean;
}

/** Says that there is no news, and why; nothing where there is. */
export function Standing({
  connection,
  hasOld
}: IStandingProps): ReactElement | null {
  switch (connection.phase) {
    case 'connecting':
    case 'connected':
      return null;
    case 'absent':
      return <Absent />;
    case 'away':
      return <Away message={connection.message} hasOld={hasOld} />;
  }
}

function Away({
  message,
  hasOld
}: {
  message: string;
  hasOld: boolean;
}): ReactElement {
  const { trans } = useHandlers();
  const old = hasOld ? trans.__('What stands here is as it was.') : '';
  return (
    <Notice className="jc-mod-bad" retry={trans.__('Try now')}>
      <p>
        {message || trans.__('The Jupyter server does not answer.')} {old}
      </p>
      <p>{trans.__('It is tried again by itself.')}</p>
    </Notice>
  );
}

function Absent(): ReactElement {
  const { trans } = useHandlers();
  return (
    <Notice className="jc-mod-bad" retry={trans.__('Try again')}>
      <p>
        {trans.__(
          "jupyter_cluster's server extension is not enabled in this Jupyter server, or was installed after it was started. Run this in the server's environment, and start the server again:"
        )}
      </p>
      <pre className="jc-Standing-line">{ENABLE}</pre>
    </Notice>
  );
}

interface INoticeProps {
  className: string;
  retry: string;
  children: ReactElement | ReactElement[];
}

function Notice({ className, retry, children }: INoticeProps): ReactElement {
  const handlers = useHandlers();
  return (
    <div className={classes('jc-Standing', className)}>
      {children}
      <BusyButton
        label={retry}
        onClick={() => Promise.resolve(handlers.retry())}
      >
        {retry}
      </BusyButton>
    </div>
  );
}
