import { Notification } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Operation } from './api/types';
import { capital, cut, NOTIFICATION_LENGTH } from './dialogs/ask';
import type { ClustersModel } from './state/model';

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
      Notification.error(cut(words(state), NOTIFICATION_LENGTH), {
        actions,
        autoClose: false
      });
    } else {
      Notification.success(cut(words(state), NOTIFICATION_LENGTH), {
        actions,
        autoClose: 1000 * SECONDS
      });
    }
  });
}

function words({ text, hint }: Operation['state']): string {
  return capital(hint ? `${text}: ${hint}` : text);
}
