import { Signal } from '@lumino/signaling';
import type { Follower, Report } from '../api/stream';
import type { Overview } from '../api/types';
import { ClustersModel } from '../state/model';

/** What is told by a test instead of a server. */
export class Told {
  readonly reported = new Signal<this, Report>(this);
  readonly opened: string[][] = [];
  retries = 0;
  isDisposed = false;

  dispose(): void {
    this.isDisposed = true;
  }

  setOpen(names: string[]): void {
    this.opened.push(names);
  }

  retry(): void {
    this.retries += 1;
  }

  tell(overview: Overview, open: string[] = []): void {
    this.reported.emit({ kind: 'news', overview, open });
  }

  fail(error: unknown): void {
    this.reported.emit({ kind: 'failure', error, retryAt: 0 });
  }
}

export function toldModel(): { told: Told; model: ClustersModel } {
  const told = new Told();
  return { told, model: new ClustersModel(told as unknown as Follower) };
}
