import type { IStatusBar } from '@jupyterlab/statusbar';
import type { TranslationBundle } from '@jupyterlab/translation';
import { classes, ReactWidget } from '@jupyterlab/ui-components';
import { Signal } from '@lumino/signaling';
import type { ReactElement } from 'react';
import { clusterIcon } from './icons';
import type { ClustersModel } from './state/model';
import { useClusters } from './state/use';

export interface ISummaryProps {
  model: ClustersModel;
  /** Shows all clusters. */
  show: () => void;
  trans: TranslationBundle;
}

/** Adds how many clusters run and what they cost; hidden where there is none. */
export function addStatus(statusBar: IStatusBar, props: ISummaryProps): void {
  const { model } = props;
  const isActive = (): boolean => model.state.summary.text !== '';
  const activeStateChanged = new Signal<object, void>(model);
  let was = isActive();
  model.changed.connect(() => {
    if (was !== isActive()) {
      was = isActive();
      activeStateChanged.emit();
    }
  });
  const item = ReactWidget.create(<Summary {...props} />);
  item.addClass('jc-Status');
  statusBar.registerStatusItem('jupyter-cluster:status', {
    item,
    align: 'left',
    rank: 3,
    isActive,
    activeStateChanged
  });
}

/** All clusters in a line. */
export function Summary({ model, show, trans }: ISummaryProps): ReactElement {
  const { text, meaning, hint } = useClusters(model, state => state.summary);
  const isOld = useClusters(
    model,
    state => state.connection.phase !== 'connected'
  );
  const title = isOld ? trans.__('The Jupyter server does not answer') : hint;
  return (
    <button
      type="button"
      className={classes(
        'jc-Status-button',
        meaning && `jc-mod-${meaning}`,
        isOld ? 'jc-mod-old' : ''
      )}
      title={
        title
          ? `${title} – ${trans.__('show clusters')}`
          : trans.__('Show clusters')
      }
      onClick={show}
    >
      <clusterIcon.react tag="span" className="jc-Status-icon" />
      {text}
    </button>
  );
}
