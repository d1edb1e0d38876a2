/* eslint-disable jupyter/prefer-lazy-imports -- the side bar and the stream begin at once */
import {
  ILayoutRestorer,
  type JupyterFrontEnd,
  type JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ICommandPalette } from '@jupyterlab/apputils';
import { IDocumentManager } from '@jupyterlab/docmanager';
import { IFileBrowserFactory } from '@jupyterlab/filebrowser';
import { ILauncher } from '@jupyterlab/launcher';
import { INotebookTracker } from '@jupyterlab/notebook';
import { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { IStatusBar } from '@jupyterlab/statusbar';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Api } from './api/requests';
import { Follower } from './api/stream';
import { Actions } from './commands/actions';
import { addCommands } from './commands/add';
import { attach } from './commands/cluster';
import type { IContext } from './commands/context';
import { kernelName } from './commands/notebook';
import { notifyEnded } from './notifications';
import { handlersOf } from './sidebar/handlersOf';
import { Sidebar } from './sidebar/sidebar';
import { ClustersModel } from './state/model';
import { Settings } from './state/settings';
import { ClusterSources } from './sources';
import { addStatus } from './statusbar';
import { addViews } from './views';

const ID = 'jupyter-cluster:plugin';
// Below the file browser, running sessions and the table of contents.
const RANK = 350;

/** The clusters of this server: side bar, views, commands, status bar. */
export const clustersPlugin: JupyterFrontEndPlugin<void> = {
  id: ID,
  description: 'The clusters of this server in the side bar.',
  autoStart: true,
  optional: [
    ITranslator,
    ILayoutRestorer,
    ISettingRegistry,
    ICommandPalette,
    ILauncher,
    INotebookTracker,
    IDocumentManager,
    IFileBrowserFactory,
    IRenderMimeRegistry,
    IStatusBar
  ],
  activate
};

function activate(
  app: JupyterFrontEnd,
  translator: ITranslator | null,
  restorer: ILayoutRestorer | null,
  registry: ISettingRegistry | null,
  palette: ICommandPalette | null,
  launcher: ILauncher | null,
  notebooks: INotebookTracker | null,
  documents: IDocumentManager | null,
  files: IFileBrowserFactory | null,
  rendermime: IRenderMimeRegistry | null,
  statusBar: IStatusBar | null
): void {
  translator ??= nullTranslator;
  const trans = translator.load('jupyter_cluster');
  const settings = new Settings();
  const api = new Api(app.serviceManager.serverSettings, trans);
  const follower = new Follower(api);
  const model = new ClustersModel(follower);
  const actions = new Actions(
    api,
    model,
    settings,
    () => kernelName(notebooks),
    trans
  );
  const showSidebar = (): void => app.shell.activateById(sidebar.id);
  const sources = new ClusterSources({
    api,
    model,
    actions,
    attach: (name, node) => attach(context, name, node),
    sayGone: name => trans.__('Cluster %1 has ended.', name)
  });
  const views = addViews({ app, sources, rendermime, restorer, trans });
  const context: IContext = {
    app,
    api,
    model,
    actions,
    translator,
    trans,
    notebooks,
    documents,
    files,
    showSidebar,
    showView: views.show,
    atHand: () => sidebar.pointedAt ?? views.current()
  };
  const handlers = handlersOf(context, settings);
  addCommands(context, palette, launcher);
  const sidebar = new Sidebar({
    model,
    handlers,
    commands: app.commands,
    translator
  });
  app.shell.add(sidebar, 'left', { rank: RANK, type: 'Clusters' });
  restorer?.add(sidebar, sidebar.id);
  forgetPointed(app, sidebar);
  notifyEnded(model, () => sidebar.isVisible, showSidebar, trans);
  if (statusBar) {
    addStatus(statusBar, { model, show: showSidebar, trans });
  }
  void followSettings(registry, settings, follower).then(() =>
    follower.start()
  );
}

/** The menu of a card is about that card until it has closed and done what was chosen. */
function forgetPointed(app: JupyterFrontEnd, sidebar: Sidebar): void {
  app.contextMenu.menu.aboutToClose.connect(() => {
    window.setTimeout(() => sidebar.forgetPointed());
  });
}

/** Where there are no settings, or broken ones, the defaults hold. */
async function followSettings(
  registry: ISettingRegistry | null,
  settings: Settings,
  follower: Follower
): Promise<void> {
  settings.changed.connect((_, now) => follower.setUpdates(now));
  try {
    if (registry) {
      settings.follow(await registry.load(ID));
    }
  } catch {
    // JupyterLab itself says what is wrong with them.
  }
}
