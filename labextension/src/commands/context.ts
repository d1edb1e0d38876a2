import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { IDocumentManager } from '@jupyterlab/docmanager';
import type { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import type { INotebookTracker } from '@jupyterlab/notebook';
import type { ITranslator, TranslationBundle } from '@jupyterlab/translation';
import type { Api } from '../api/requests';
import type { ClustersModel } from '../state/model';
import type { Actions } from './actions';

/** What commands work with. */
export interface IContext {
  readonly app: JupyterFrontEnd;
  readonly api: Api;
  readonly model: ClustersModel;
  readonly actions: Actions;
  readonly translator: ITranslator;
  readonly trans: TranslationBundle;
  readonly notebooks: INotebookTracker | null;
  readonly documents: IDocumentManager | null;
  readonly files: IFileBrowserFactory | null;
  /** Brings the side bar to the front. */
  readonly showSidebar: () => void;
  /** Brings the view of a cluster to the front, which is made where there is none. */
  readonly showView: (name: string, tab?: string) => Promise<void>;
  /** The cluster that was pointed at, or whose view is at hand. */
  readonly atHand: () => string | null;
}
