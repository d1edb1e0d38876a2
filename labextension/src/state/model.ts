import { DisposableDelegate, type IDisposable } from '@lumino/disposable';
import { type ISignal, Signal } from '@lumino/signaling';
import { ApiError } from '../api/requests';
import type { Follower, Report } from '../api/stream';
import type { Operation } from '../api/types';
import {
  type Connection,
  type IClusters,
  justEnded,
  merge,
  NOTHING,
  withOperation,
  withoutOperation
} from './clusters';

/** All clusters as they are now, and a signal for each change of them. */
export class ClustersModel implements IDisposable {
  constructor(private readonly follower: Follower) {
    follower.reported.connect(this.onReport, this);
  }

  /** A value that is never changed: another takes its place. */
  get state(): IClusters {
    return this._state;
  }

  get changed(): ISignal<this, IClusters> {
    return this._changed;
  }

  /** An operation that went on is over. */
  get ended(): ISignal<this, Operation> {
    return this._ended;
  }

  get isDisposed(): boolean {
    return this.follower.isDisposed;
  }

  dispose(): void {
    if (!this.isDisposed) {
      this.follower.dispose();
      Signal.clearData(this);
    }
  }

  /** Has the whole view of a cluster come, until what is returned is disposed. */
  open(name: string): IDisposable {
    this.opened.set(name, (this.opened.get(name) ?? 0) + 1);
    this.follower.setOpen([...this.opened.keys()].sort());
    return new DisposableDelegate(() => this.close(name));
  }

  /** Asks the server at once. */
  retry(): void {
    this.follower.retry();
  }

  /** Shows an operation that has just begun. */
  begin(operation: Operation): void {
    this.set(withOperation(this._state, operation));
  }

  /** Shows an operation no longer. */
  forget(id: string): void {
    this.set(withoutOperation(this._state, id));
  }

  private close(name: string): void {
    const left = (this.opened.get(name) ?? 0) - 1;
    if (left > 0) {
      this.opened.set(name, left);
    } else {
      this.opened.delete(name);
    }
    this.follower.setOpen([...this.opened.keys()].sort());
  }

  private onReport(_: Follower, report: Report): void {
    if (report.kind === 'failure') {
      this.set({
        ...this._state,
        connection: connectionAfter(report.error, report.retryAt)
      });
      return;
    }
    const merged = merge(this._state, report.overview, report.open);
    const isNew = merged.connection.phase !== 'connected';
    this.set(
      isNew ? { ...merged, connection: { phase: 'connected' } } : merged
    );
  }

  private set(state: IClusters): void {
    const old = this._state;
    this._state = state;
    if (old !== state) {
      this._changed.emit(state);
      justEnded(old, state).forEach(operation => this._ended.emit(operation));
    }
  }

  private _state: IClusters = NOTHING;
  private readonly opened = new Map<string, number>();
  private readonly _changed = new Signal<this, IClusters>(this);
  private readonly _ended = new Signal<this, Operation>(this);
}

function connectionAfter(error: unknown, retryAt: number): Connection {
  const status = error instanceof ApiError ? error.status : null;
  const said = error instanceof Error ? error.message : String(error);
  const message = status === 0 ? '' : said;
  return { phase: status === 404 ? 'absent' : 'away', message, retryAt };
}
