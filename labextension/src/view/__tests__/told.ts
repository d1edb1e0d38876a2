import { Signal } from '@lumino/signaling';

import type {
  Action,
  ClusterView,
  Figure,
  LogLine,
  NodeLog,
  ScaleRequest
} from '../../api/types';
import { VIEWS } from '../../__tests__/words';
import type { Freshness, IClusterSource, ILogFilter } from '../source';

/** A source that the tests tell what to say, and that keeps what it was asked. */
export class ToldSource implements IClusterSource {
  readonly name = 'mine';
  readonly changed: Signal<IClusterSource, void> = new Signal(this);
  view: ClusterView | null = VIEWS.running;
  freshness: Freshness = 'fresh';
  why = '';
  isDisposed = false;

  readonly asked: unknown[][] = [];
  failure = '';
  written: LogLine[] = [];

  tell(
    news: Partial<Pick<IClusterSource, 'view' | 'freshness' | 'why'>>
  ): void {
    Object.assign(this, news);
    this.changed.emit();
  }

  dispose(): void {
    this.isDisposed = true;
  }

  act(action: Action): Promise<string> {
    return this.answer('act', [action], 'cancelled posters');
  }

  scale(limits: ScaleRequest): Promise<string> {
    return this.answer('scale', [limits], 'scaled');
  }

  logs(filter: ILogFilter, since: number): Promise<LogLine[]> {
    const isWanted = (line: LogLine): boolean =>
      line.number > since &&
      (filter.node ?? line.node) === line.node &&
      (filter.job ?? line.job) === line.job;
    const lines = this.written.filter(isWanted);
    return this.answer('logs', [filter, since], lines);
  }

  nodeLog(node: string): Promise<NodeLog> {
    return this.answer('nodeLog', [node], { text: `set up ${node}` });
  }

  figure(): Promise<Figure> {
    return this.answer('figure', [], { data: [{ y: [1] }], layout: {} });
  }

  attach(node: string): Promise<void> {
    return this.answer('attach', [node], undefined);
  }

  private answer<T>(what: string, about: unknown[], answer: T): Promise<T> {
    this.asked.push([what, ...about]);
    return this.failure
      ? Promise.reject(new Error(this.failure))
      : Promise.resolve(answer);
  }
}

export function line(number: number, given: Partial<LogLine> = {}): LogLine {
  return {
    number,
    time: 1_790_000_000 + number,
    node: 'local-1',
    slot: 0,
    job: 'j1',
    stream: 'stdout',
    text: `line ${number}`,
    ...given
  };
}
