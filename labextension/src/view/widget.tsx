import { MainAreaWidget } from '@jupyterlab/apputils';
import type { IRenderMimeRegistry } from '@jupyterlab/rendermime';
import type { TranslationBundle } from '@jupyterlab/translation';
import { ReactWidget } from '@jupyterlab/ui-components';
import type { Message } from '@lumino/messaging';
import { type ISignal, Signal } from '@lumino/signaling';
import type { ReactElement } from 'react';

import { clusterIcon } from '../icons';
import { ClusterPane, type Tab, TABS } from './ClusterPane';
import { type DrawFigure, figuresOf } from './figures';
import type { IClusterSource } from './source';

export interface IClusterWidgetOptions {
  /** Ends with the widget. */
  source: IClusterSource;

  /** Draws the figure of the whole course; null where there is none. */
  rendermime: IRenderMimeRegistry | null;
  trans: TranslationBundle;

  /** The tab to begin with, as `tab` has told it. */
  tab?: string | undefined;
}

/** One cluster in JupyterLab's main area. */
export class ClusterWidget extends MainAreaWidget<ClusterContent> {
  constructor(options: IClusterWidgetOptions) {
    super({ content: new ClusterContent(options) });
    const { name } = options.source;
    this.id = `jupyter-cluster-${name}`;
    this.addClass('jc-ClusterWidget');
    this.toolbar.hide();
    this.title.label = name;
    this.title.icon = clusterIcon;
    this.title.caption = options.trans.__('Cluster %1', name);
    this.title.closable = true;
  }
}

/** Draws its cluster anew when there is news, as long as it can be seen. */
export class ClusterContent extends ReactWidget {
  constructor({ source, rendermime, trans, tab }: IClusterWidgetOptions) {
    super();
    this.source = source;
    this.trans = trans;
    this.drawFigure = figuresOf(rendermime);
    this._tab = TABS.find(known => known === tab) ?? TABS[0];
    this.addClass('jc-ClusterContent');
    source.changed.connect(this.onChanged, this);
  }

  /** The name of the cluster. */
  get name(): string {
    return this.source.name;
  }

  get tab(): Tab {
    return this._tab;
  }

  /** Another tab is shown, which a restored widget should begin with. */
  get tabChanged(): ISignal<this, Tab> {
    return this._tabChanged;
  }

  override dispose(): void {
    if (!this.isDisposed) {
      this.source.dispose();
      Signal.clearData(this);
      super.dispose();
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.update();
  }

  protected override render(): ReactElement {
    const { source } = this;
    return (
      <ClusterPane
        name={source.name}
        view={source.view}
        freshness={source.freshness}
        why={source.why}
        requests={source}
        tab={this._tab}
        onTab={this.onTab}
        drawFigure={this.drawFigure}
        isShown={this.isShown}
        trans={this.trans}
      />
    );
  }

  private readonly onTab = (tab: Tab): void => {
    if (tab !== this._tab) {
      this._tab = tab;
      this._tabChanged.emit(tab);
      this.update();
    }
  };

  private readonly onChanged = (): void => {
    if (this.isVisible) {
      this.update();
    }
  };

  private readonly isShown = (): boolean => this.isVisible;

  private readonly source: IClusterSource;
  private readonly trans: TranslationBundle;
  private readonly drawFigure: DrawFigure;
  private readonly _tabChanged = new Signal<this, Tab>(this);
  private _tab: Tab;
}
