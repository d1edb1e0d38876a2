import type { ILayoutRestorer, JupyterFrontEnd } from '@jupyterlab/application';
import { WidgetTracker } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { CommandIDs } from './commands/ids';
import type { ClusterWidget, IClusterSources } from './view';

export interface IViewsOptions {
  readonly app: JupyterFrontEnd;
  readonly sources: IClusterSources;
  readonly rendermime: IRenderMimeRegistry | null;
  readonly restorer: ILayoutRestorer | null;
  readonly trans: TranslationBundle;
}

/** The views of clusters in the main area. */
export interface IViews {
  /** Brings the view of a cluster to the front; at a tab, where one is named. */
  readonly show: (name: string, tab?: string) => Promise<void>;
  /** The cluster whose view is at hand. */
  readonly current: () => string | null;
}

/** Makes views, one for each cluster at most, and has them there again after a reload. */
export function addViews(options: IViewsOptions): IViews {
  const { app, sources, rendermime, restorer, trans } = options;
  const tracker = new WidgetTracker<ClusterWidget>({
    namespace: 'jupyter-cluster'
  });
  const find = (name: string): ClusterWidget | undefined =>
    tracker.find(({ content }) => content.name === name);
  const open = async (name: string, tab?: string): Promise<ClusterWidget> => {
    const { ClusterWidget } = await import('./view');
    const opened = find(name);
    if (opened) {
      return opened;
    }
    const source = sources.open(name);
    const widget = new ClusterWidget({ source, rendermime, trans, tab });
    widget.content.tabChanged.connect(() => void tracker.save(widget));
    app.shell.add(widget, 'main', { type: 'Cluster' });
    void tracker.add(widget);
    return widget;
  };
  void restorer?.restore(tracker, {
    command: CommandIDs.open,
    args: ({ content: { name, tab } }) => ({ name, tab }),
    name: ({ content }) => content.name
  });
  return {
    show: async (name, tab) => {
      const widget = find(name) ?? (await open(name, tab));
      app.shell.activateById(widget.id);
    },
    current: () => {
      const { currentWidget } = tracker;
      return currentWidget === app.shell.currentWidget
        ? (currentWidget?.content.name ?? null)
        : null;
    }
  };
}
