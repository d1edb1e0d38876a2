import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Operation } from './api/types';
import { cut } from './dialogs/ask';
import type { ClustersModel } from './state/model';

// JupyterLab cuts what is longer.
const LENGTH = 140;
const SECONDS = 6;

/** Says that a cluster has started or ended, or why not, where the side bar is not in sight. */
export function notifyEnded(
  model: ClustersModel,
  isInSight: () => boolean,
  show: () => void,
  trans: TranslationBundle
): void {
  const actions = [{ label: trans.__('Show clusters'), callback: show }];
  model.ended.connect((_, { state }: Operation) => {
    if (isInSight()) {
      return;
    }
    if (state.meaning === 'bad') {
      Notification.error(cut(words(state), LENGTH), {
        actions,
        autoClose: false
      });
    } else {
      Notification.success(cut(words(state), LENGTH), {
        actions,
        autoClose: 1000 * SECONDS
      });
    }
  });
}

function words({ text, hint }: Operation['state']): string {
  return hint ? `${text}: ${hint}` : text;
}
