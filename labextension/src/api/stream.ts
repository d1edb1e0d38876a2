import { type IDisposable } from '@lumino/disposable';
import { Poll } from '@lumino/polling';
import { type ISignal, Signal } from '@lumino/signaling';
import { createParser } from 'eventsource-parser';
import type { Api } from './requests';
import type { Overview } from './types';

/** How news of the clusters come. */
export interface IUpdates {
  readonly updates: 'stream' | 'poll';
  /** Seconds between two polls. */
  readonly pollSeconds: number;
}

/** Times in milliseconds; tests shorten them. */
export interface ITimes {
  /** Until a connection that has ended is made again, at first. */
  readonly again: number;
  /** How long it is waited for that at most, however often it fails. */
  readonly longest: number;
  /** After how long without a word, the server's pings too, a connection counts as lost. */
  readonly silence: number;
  /** How long a page that nobody sees keeps its connection, of which a browser has few. */
  readonly hidden: number;
}

const TIMES: ITimes = {
  again: 1000,
  longest: 30_000,
  silence: 40_000,
  hidden: 60_000
};

/** News, or why there are none. */
export type Report =
  | {
      readonly kind: 'news';
      readonly overview: Overview;
      readonly open: readonly string[];
    }
  | {
      readonly kind: 'failure';
      readonly error: unknown;
      readonly retryAt: number;
    };

/**
 * Follows all clusters over one connection, which is made again whenever it is lost.
 *
 * Between attempts it waits ever longer, by chance a little more or less, so that the pages of all
 * users do not come back to a server at the same moment.
 */
export class Follower implements IDisposable {
  constructor(
    private readonly api: Pick<Api, 'overview' | 'stream'>,
    private readonly times: ITimes = TIMES
  ) {
    this.poll = new Poll({
      name: 'jupyter-cluster:follow',
      auto: false,
      linger: 0,
      factory: () => this.follow(),
      frequency: this.frequency()
    });
    this.poll.ticked.connect(this.onTicked, this);
    document.addEventListener('visibilitychange', this.onVisibility);
  }

  get reported(): ISignal<this, Report> {
    return this._reported;
  }

  get isDisposed(): boolean {
    return this.poll.isDisposed;
  }

  dispose(): void {
    if (this.isDisposed) {
      return;
    }
    document.removeEventListener('visibilitychange', this.onVisibility);
    clearTimeout(this.hiding);
    this.poll.dispose();
    this.connection?.drop();
    Signal.clearData(this);
  }

  start(): void {
    void this.poll.start();
  }

  /** Tries at once, without waiting any longer. */
  retry(): void {
    this.connection?.drop();
    void this.poll.schedule({ interval: Poll.IMMEDIATE, phase: 'refreshed' });
  }

  /** Changes whose whole views come. */
  setOpen(names: readonly string[]): void {
    if (names.join() !== this.open.join()) {
      this.open = [...names];
      this.restart();
    }
  }

  setUpdates(how: IUpdates): void {
    if (
      how.updates !== this.how.updates ||
      how.pollSeconds !== this.how.pollSeconds
    ) {
      this.how = how;
      this.poll.frequency = this.frequency();
      this.restart();
    }
  }

  private restart(): void {
    if (this.poll.state.phase !== 'constructed') {
      this.retry();
    }
  }

  private frequency(): { interval: number; backoff: number; max: number } {
    const { updates, pollSeconds } = this.how;
    const interval = updates === 'poll' ? pollSeconds * 1000 : this.times.again;
    return {
      interval,
      backoff: 3,
      max: Math.max(this.times.longest, interval)
    };
  }

  /** One attempt: it fails where it has brought no news, so that the next one waits longer. */
  private async follow(): Promise<void> {
    this.connection?.drop();
    const connection = new Connection(this.times.silence);
    this.connection = connection;
    try {
      await (this.how.updates === 'poll'
        ? this.ask(connection)
        : this.read(connection));
    } catch (error) {
      if (!connection.isDropped && !connection.hasNews) {
        throw error;
      }
    } finally {
      connection.drop();
      if (this.connection === connection) {
        this.connection = undefined;
      }
    }
  }

  private async ask(connection: Connection): Promise<void> {
    const open = this.open;
    this.tell(
      connection,
      await this.api.overview(open, connection.signal),
      open
    );
  }

  private async read(connection: Connection): Promise<void> {
    const open = this.open;
    const response = await this.api.stream(open, connection.signal);
    const parser = createParser({
      onEvent: ({ data }) =>
        this.tell(connection, JSON.parse(data) as Overview, open)
    });
    const decoder = new TextDecoder();
    const reader = response.body!.getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done || connection.isDropped) {
        return;
      }
      connection.hear();
      parser.feed(decoder.decode(value, { stream: true }));
    }
  }

  private tell(
    connection: Connection,
    overview: Overview,
    open: readonly string[]
  ): void {
    if (!connection.isDropped) {
      connection.hasNews = true;
      this._reported.emit({ kind: 'news', overview, open });
    }
  }

  private onTicked(_: Poll, state: Poll['state']): void {
    if (state.phase === 'rejected') {
      const retryAt = state.timestamp + state.interval;
      this._reported.emit({ kind: 'failure', error: state.payload, retryAt });
    }
  }

  private readonly onVisibility = (): void => {
    clearTimeout(this.hiding);
    if (document.hidden) {
      this.hiding = setTimeout(
        () => this.connection?.drop(),
        this.times.hidden
      );
    } else if (!this.connection) {
      this.restart();
    }
  };

  private how: IUpdates = { updates: 'stream', pollSeconds: 2 };
  private open: readonly string[] = [];
  private connection: Connection | undefined;
  private hiding: ReturnType<typeof setTimeout> | undefined;
  private readonly poll: Poll;
  private readonly _reported = new Signal<this, Report>(this);
}

/** A request that is ended when it is no longer wanted, or when nothing is heard of it. */
class Connection {
  constructor(private readonly silence: number) {
    this.hear();
  }

  /** Whether nobody wants it any more. */
  isDropped = false;
  hasNews = false;

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  hear(): void {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.controller.abort(), this.silence);
  }

  drop(): void {
    this.isDropped = true;
    clearTimeout(this.timer);
    this.controller.abort();
  }

  private readonly controller = new AbortController();
  private timer: ReturnType<typeof setTimeout> | undefined;
}
