import { ApiError } from '../requests';
import { Follower, type ITimes, type Report } from '../stream';
import type { Overview } from '../types';

const TIMES: ITimes = { again: 20, longest: 400, silence: 250, hidden: 50 };

function overview(...names: string[]): Overview {
  return {
    names,
    cards: [],
    operations: [],
    summary: { text: '', meaning: '', hint: '' },
    views: []
  };
}

// That of Node, which its Response takes: the tests' environment has none.
const Stream = new Response('x').body!.constructor as typeof ReadableStream;

/** A connection that a test writes to. */
class Wire {
  private controller!: ReadableStreamDefaultController<Uint8Array>;

  constructor(
    readonly open: readonly string[],
    readonly signal: AbortSignal | undefined
  ) {
    signal?.addEventListener('abort', () => this.fail());
  }

  readonly response = new Response(
    new Stream<Uint8Array>({
      start: controller => {
        this.controller = controller;
      }
    })
  );

  write(...chunks: Uint8Array[]): void {
    chunks.forEach(chunk => this.controller.enqueue(chunk));
  }

  say(text: string): void {
    this.write(new TextEncoder().encode(text));
  }

  tell(told: Overview): void {
    this.say(`data: ${JSON.stringify(told)}\n\n`);
  }

  fail(): void {
    try {
      this.controller.error(new TypeError('network error'));
    } catch {
      // It has ended before.
    }
  }
}

/** A server whose connections are wires, or fail. */
class FakeServer {
  wires: Wire[] = [];
  polled: string[][] = [];
  attempts: number[] = [];
  isAway = false;

  stream = (
    open: readonly string[],
    signal?: AbortSignal
  ): Promise<Response> => {
    this.attempts.push(Date.now());
    if (this.isAway) {
      return Promise.reject(
        new ApiError(0, 'The Jupyter server does not answer.')
      );
    }
    const wire = new Wire(open, signal);
    this.wires.push(wire);
    return Promise.resolve(wire.response);
  };

  overview = (open: readonly string[]): Promise<Overview> => {
    this.polled.push([...open]);
    return this.isAway
      ? Promise.reject(new ApiError(0, 'away'))
      : Promise.resolve(overview('polled'));
  };

  get last(): Wire {
    return this.wires[this.wires.length - 1]!;
  }
}

async function eventually(condition: () => boolean): Promise<void> {
  const deadline = Date.now() + 4000;
  while (!condition()) {
    if (Date.now() > deadline) {
      throw new Error(`never: ${condition.toString()}`);
    }
    await new Promise(resolve => setTimeout(resolve, 2));
  }
}

describe('Follower', () => {
  let server: FakeServer;
  let follower: Follower;
  let reports: Report[];

  const failures = (): Report[] =>
    reports.filter(report => report.kind === 'failure');
  const told = (): string[][] =>
    reports.flatMap(report =>
      report.kind === 'news' ? [report.overview.names] : []
    );

  beforeEach(() => {
    server = new FakeServer();
    follower = new Follower(server, TIMES);
    reports = [];
    follower.reported.connect((_, report) => reports.push(report));
  });

  afterEach(() => follower.dispose());

  it('reads events that are cut anywhere', async () => {
    follower.start();
    await eventually(() => server.wires.length === 1);
    const text = `: ping\n\ndata: ${JSON.stringify(overview('Überfluß', 'b'))}\r\n\r\n`;
    const bytes = new TextEncoder().encode(text);
    server.last.write(...[...bytes].map(byte => Uint8Array.of(byte)));
    server.last.tell(overview('c'));
    await eventually(() => told().length === 2);
    expect(told()).toEqual([['Überfluß', 'b'], ['c']]);
  });

  it('comes back when a connection ends, and reports no failure for that', async () => {
    follower.start();
    await eventually(() => server.wires.length === 1);
    server.last.tell(overview('a'));
    await eventually(() => told().length === 1);
    server.last.fail();
    await eventually(() => server.wires.length === 2);
    expect(failures()).toEqual([]);
  });

  it('waits ever longer while the server is away, and says when it tries again', async () => {
    const random = jest.spyOn(Math, 'random').mockReturnValue(0.999);
    try {
      const waits: number[] = [];
      follower.reported.connect((_, report) => {
        if (report.kind === 'failure') {
          waits.push(report.retryAt - Date.now());
        }
      });
      server.isAway = true;
      follower.start();
      await eventually(() => server.attempts.length === 5);
      const [first, second, third, fourth] = waits as [
        number,
        number,
        number,
        number
      ];
      expect(second).toBeGreaterThan(2 * first);
      expect(third).toBeGreaterThan(1.5 * second);
      expect(fourth).toBeLessThanOrEqual(TIMES.longest);
      const [begun, again] = server.attempts as [number, number];
      expect(again - begun).toBeGreaterThanOrEqual(first - 5);
      server.isAway = false;
      await eventually(() => server.wires.length === 1);
      server.last.tell(overview('back'));
      await eventually(() => told().length === 1);
    } finally {
      random.mockRestore();
    }
  });

  it('tries at once when it is asked to', async () => {
    follower.dispose();
    follower = new Follower(server, {
      ...TIMES,
      again: 60_000,
      longest: 60_000
    });
    follower.reported.connect((_, report) => reports.push(report));
    server.isAway = true;
    follower.start();
    await eventually(() => failures().length === 1);
    server.isAway = false;
    follower.retry();
    await eventually(() => server.wires.length === 1);
  });

  it('takes a silent connection for lost, and a ping for a word', async () => {
    follower.start();
    await eventually(() => server.wires.length === 1);
    const first = server.last;
    first.tell(overview('a'));
    for (let ping = 0; ping < 4; ping++) {
      await new Promise(resolve => setTimeout(resolve, TIMES.silence / 2));
      first.say(': ping\n\n');
    }
    expect(server.wires.length).toBe(1);
    await eventually(() => server.wires.length === 2);
    expect(first.signal?.aborted).toBe(true);
  });

  it('starts anew for other open clusters, and only for others', async () => {
    follower.setOpen(['a']);
    follower.start();
    await eventually(() => server.wires.length === 1);
    expect(server.last.open).toEqual(['a']);
    const [first] = server.wires;
    follower.setOpen(['a']);
    follower.setOpen(['a', 'b']);
    follower.setOpen(['a', 'b', 'c']);
    await eventually(() => server.last.open.length === 3);
    expect(first!.signal?.aborted).toBe(true);
    first!.fail();
    server.last.tell(overview('a', 'b', 'c'));
    await eventually(() => told().length === 1);
    expect(failures()).toEqual([]);
  });

  it('drops the connection of a page that is hidden for long, and comes back', async () => {
    const hidden = jest.spyOn(document, 'hidden', 'get');
    const state = jest.spyOn(document, 'visibilityState', 'get');
    const show = (isShown: boolean): void => {
      hidden.mockReturnValue(!isShown);
      state.mockReturnValue(isShown ? 'visible' : 'hidden');
      document.dispatchEvent(new Event('visibilitychange'));
    };
    try {
      follower.start();
      await eventually(() => server.wires.length === 1);
      server.last.tell(overview('a'));
      show(false);
      await eventually(() => server.wires[0]!.signal?.aborted === true);
      await new Promise(resolve => setTimeout(resolve, 5 * TIMES.again));
      expect(server.wires.length).toBe(1);
      show(true);
      await eventually(() => server.wires.length === 2);
    } finally {
      hidden.mockRestore();
      state.mockRestore();
    }
  });

  it('polls where that is chosen', async () => {
    follower.setUpdates({ updates: 'poll', pollSeconds: 0.02 });
    follower.setOpen(['a']);
    follower.start();
    await eventually(() => server.polled.length >= 3);
    expect(server.polled[0]).toEqual(['a']);
    expect(server.wires.length).toBe(0);
    follower.setUpdates({ updates: 'stream', pollSeconds: 0.02 });
    await eventually(() => server.wires.length === 1);
  });

  it('takes words that are none for a failure', async () => {
    follower.start();
    await eventually(() => server.wires.length === 1);
    server.last.say('data: <html>\n\n');
    await eventually(() => failures().length === 1);
  });
});
