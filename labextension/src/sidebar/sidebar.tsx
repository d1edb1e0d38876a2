import {
  addIcon,
  CommandToolbarButton,
  fileIcon,
  ReactWidget,
  SidePanel
} from '@jupyterlab/ui-components';
import type { ITranslator } from '@jupyterlab/translation';
import type { CommandRegistry } from '@lumino/commands';
import { Panel } from '@lumino/widgets';
import type { ReactElement } from 'react';
import { CommandIDs } from '../commands/ids';
import { clusterIcon } from '../icons';
import type { ClustersModel } from '../state/model';
import { Clusters } from './Clusters';
import type { IHandlers } from './handlers';

export interface ISidebarOptions {
  readonly model: ClustersModel;
  readonly handlers: IHandlers;
  readonly commands: CommandRegistry;
  readonly translator: ITranslator;
}

/** The side bar: all clusters, and buttons above them that start one. */
export class Sidebar extends SidePanel {
  constructor({ model, handlers, commands, translator }: ISidebarOptions) {
    super({ content: new Panel(), translator });
    const { trans } = handlers;
    this.id = 'jupyter-cluster-sidebar';
    this.addClass('jc-Sidebar');
    this.title.icon = clusterIcon;
    this.title.caption = trans.__('Clusters');
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', trans.__('Clusters'));
    const buttons = { newLocal: addIcon, newFromFile: fileIcon } as const;
    for (const [name, icon] of Object.entries(buttons)) {
      const id = CommandIDs[name as keyof typeof buttons];
      const label = '';
      this.toolbar.addItem(
        name,
        new CommandToolbarButton({ commands, id, icon, label })
      );
    }
    this.addWidget(new Content(model, handlers));
    this.node.addEventListener('contextmenu', this.onContextMenu, {
      capture: true
    });
  }

  /** The cluster whose menu is open; null where none is. */
  get pointedAt(): string | null {
    return this._pointedAt;
  }

  /** The menu has closed. */
  forgetPointed(): void {
    this._pointedAt = null;
  }

  private readonly onContextMenu = ({ target }: Event): void => {
    const card =
      target instanceof Element
        ? target.closest<HTMLElement>('.jc-Card')
        : null;
    this._pointedAt = card?.dataset.name ?? null;
  };

  private _pointedAt: string | null = null;
}

class Content extends ReactWidget {
  constructor(
    private readonly model: ClustersModel,
    private readonly handlers: IHandlers
  ) {
    super();
    this.addClass('jc-Sidebar-content');
  }

  protected override render(): ReactElement {
    return <Clusters model={this.model} handlers={this.handlers} />;
  }
}
