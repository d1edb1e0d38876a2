import type { ISignal } from '@lumino/signaling';
import type { IDisposable } from '@lumino/disposable';

import type {
  Action,
  ClusterView,
  Figure,
  LogLine,
  NodeLog,
  ScaleRequest
} from '../api/types';

/**
 * How what is shown of a cluster stands with what there is: the stream brings it, the server does
 * not answer, or there is no cluster of this name any more.
 */
export type Freshness = 'fresh' | 'away' | 'gone';

/** Whose output is wanted: of all nodes and jobs where nothing is given. */
export interface ILogFilter {
  node?: string;
  job?: string;
}

/**
 * One cluster as its view finds it: what is shown, and what may be done.
 *
 * Promises reject with an error whose message is the server's sentence; the view shows it. What is
 * asked of a user first (`Action.question`) is asked by `act`.
 */
export interface IClusterSource extends IDisposable {
  readonly name: string;

  /** The newest view, kept when the cluster has gone; null before the first has come. */
  readonly view: ClusterView | null;

  readonly freshness: Freshness;

  /** Why it is not fresh, in a sentence; may be empty. */
  readonly why: string;

  /** `view`, `freshness` or `why` is another. */
  readonly changed: ISignal<IClusterSource, void>;

  /** Do what a button says, when its question was answered with yes; says what was done. */
  act(action: Action): Promise<string>;

  /** Change limits; says what was done. */
  scale(limits: ScaleRequest): Promise<string>;

  /** What tasks have written, oldest first, with numbers above `since`. */
  logs(
    filter: ILogFilter,
    since: number,
    signal?: AbortSignal
  ): Promise<LogLine[]>;

  /** What setting up a node has written. */
  nodeLog(node: string): Promise<NodeLog>;

  /** The whole course of the cluster as a plotly figure. */
  figure(): Promise<Figure>;

  /** Open a terminal of JupyterLab with a shell on a node; `head` is one. */
  attach(node: string): Promise<void>;
}

/** Gives each view of a cluster its source; the cluster is followed until the source is disposed. */
export interface IClusterSources {
  open(name: string): IClusterSource;
}
