import {
  ILayoutRestorer,
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { clusterIcon } from './icons';
import { yamlPlugin } from './yaml';

/** The clusters of this server in the side bar. */
export const plugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-cluster:plugin',
  description: 'The clusters of this server in the side bar.',
  autoStart: true,
  optional: [ILayoutRestorer, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    restorer: ILayoutRestorer | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_cluster');
    const sidebar = new Widget();
    sidebar.id = 'jupyter-cluster-sidebar';
    sidebar.addClass('jc-Sidebar');
    sidebar.title.icon = clusterIcon;
    sidebar.title.caption = trans.__('Clusters');
    sidebar.node.setAttribute('role', 'region');
    sidebar.node.setAttribute('aria-label', trans.__('Clusters'));
    app.shell.add(sidebar, 'left', { rank: 350, type: 'Clusters' });
    restorer?.add(sidebar, sidebar.id);
  }
};

export default [plugin, yamlPlugin];
