import type { IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';
import type { Actions } from './commands/actions';
import type { Api } from './api/requests';
import type {
  Action,
  ClusterView,
  Figure,
  LogLine,
  NodeLog,
  ScaleRequest
} from './api/types';
import type {
  Freshness,
  IClusterSource,
  IClusterSources,
  ILogFilter
} from './view/source';
import type { IClusters } from './state/clusters';
import type { ClustersModel } from './state/model';

/** What sources are made from. */
export interface IParts {
  readonly api: Api;
  readonly model: ClustersModel;
  readonly actions: Actions;
  /** Opens a terminal on a node. */
  readonly attach: (cluster: string, node: string) => Promise<void>;
  /** Says that there is no cluster of this name any more. */
  readonly sayGone: (cluster: string) => string;
}

/** Gives each view of a cluster its source. */
export class ClusterSources implements IClusterSources {
  constructor(private readonly parts: IParts) {}

  open(name: string): IClusterSource {
    return new ClusterSource(name, this.parts);
  }
}

/** One cluster of the model, which is followed until this is disposed. */
class ClusterSource implements IClusterSource {
  constructor(
    readonly name: string,
    private readonly parts: IParts
  ) {
    this.opened = parts.model.open(name);
    parts.model.changed.connect(this.onChanged, this);
    this.take(parts.model.state);
  }

  view: ClusterView | null = null;
  freshness: Freshness = 'fresh';
  why = '';

  get changed(): ISignal<IClusterSource, void> {
    return this._changed;
  }

  get isDisposed(): boolean {
    return this.opened.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.opened.dispose();
      this.parts.model.changed.disconnect(this.onChanged, this);
      Signal.clearData(this);
    }
  }

  act(action: Action): Promise<string> {
    return this.parts.actions.act(this.name, action);
  }

  scale(limits: ScaleRequest): Promise<string> {
    return this.parts.actions.scale(this.name, limits);
  }

  logs(
    filter: ILogFilter,
    since: number,
    signal?: AbortSignal
  ): Promise<LogLine[]> {
    return this.parts.api.logs(this.name, { ...filter, since }, signal);
  }

  nodeLog(node: string): Promise<NodeLog> {
    return this.parts.api.nodeLog(this.name, node);
  }

  figure(): Promise<Figure> {
    return this.parts.api.figure(this.name);
  }

  attach(node: string): Promise<void> {
    return this.parts.attach(this.name, node);
  }

  private onChanged(_: ClustersModel, state: IClusters): void {
    const { view, freshness, why } = this;
    this.take(state);
    if (
      view !== this.view ||
      freshness !== this.freshness ||
      why !== this.why
    ) {
      this._changed.emit();
    }
  }

  private take(state: IClusters): void {
    this.view = state.views.get(this.name) ?? this.view;
    [this.freshness, this.why] = this.standing(state);
  }

  private standing({
    connection,
    isKnown,
    names
  }: IClusters): [Freshness, string] {
    if (connection.phase === 'away' || connection.phase === 'absent') {
      return ['away', connection.message];
    }
    const isGone = isKnown && !names.includes(this.name);
    return isGone ? ['gone', this.parts.sayGone(this.name)] : ['fresh', ''];
  }

  private readonly opened: IDisposable;
  private readonly _changed = new Signal<this, void>(this);
}
