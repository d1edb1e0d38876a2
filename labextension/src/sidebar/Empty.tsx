import type { ReactElement } from 'react';
import { clusterIcon } from '../icons';
import { BusyButton } from './BusyButton';
import { useHandlers } from './handlers';

/** What stands where there is no cluster: what one is, and how the first one is made. */
export function Empty({ hasBegun }: { hasBegun: boolean }): ReactElement {
  const { trans, offerFirst } = useHandlers();
  const isLocalFirst = offerFirst() === 'local';
  return (
    <div className="jc-Empty">
      <clusterIcon.react tag="span" className="jc-Empty-icon" />
      <p>
        {trans.__(
          'A cluster runs the functions of your notebook on many cores and machines at once, and takes only as many machines as there is work for.'
        )}
      </p>
      {!hasBegun && (
        <div className="jc-Empty-buttons">
          {isLocalFirst && <Local isFirst />}
          <FromFile isFirst={!isLocalFirst} />
          {!isLocalFirst && <Local isFirst={false} />}
        </div>
      )}
    </div>
  );
}

function Local({ isFirst }: { isFirst: boolean }): ReactElement {
  const { trans, startLocal } = useHandlers();
  const label = trans.__('Start a cluster on this machine');
  return (
    <BusyButton className={looks(isFirst)} label={label} onClick={startLocal}>
      {label}
    </BusyButton>
  );
}

function FromFile({ isFirst }: { isFirst: boolean }): ReactElement {
  const { trans, startFromFile } = useHandlers();
  return (
    <BusyButton
      className={looks(isFirst)}
      label={trans.__('Start the cluster that a YAML file describes')}
      onClick={startFromFile}
    >
      {trans.__('From a YAML file…')}
    </BusyButton>
  );
}

function looks(isFirst: boolean): string {
  return isFirst ? 'jc-mod-primary' : '';
}
