import { URLExt } from '@jupyterlab/coreutils';
import { ServerConnection } from '@jupyterlab/services';
import type { TranslationBundle } from '@jupyterlab/translation';
import type {
  Attach,
  Bill,
  CheckRequest,
  ClusterView,
  Event,
  Figure,
  Handoff,
  LogLine,
  Marks,
  NodeLog,
  Operation,
  Overview,
  Plan,
  Said,
  ScaleRequest,
  UpRequest
} from './types';

const ROUTE = 'jupyter-cluster/api/';

/**
 * Why something was not done, in the server's sentence.
 *
 * `status` is that of HTTP; 0 where no answer came.
 */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    message: string
  ) {
    super(message);
    this.name = 'ApiError';
  }
}

/** Which log lines are wanted: of all nodes and jobs where none is named. */
export interface ILogQuery {
  node?: string;
  job?: string;
  since?: number;
}

/** The server's routes. What fails raises an `ApiError`. */
export class Api {
  constructor(
    private readonly settings: ServerConnection.ISettings,
    private readonly trans: TranslationBundle
  ) {}

  /** All clusters, and the whole views of those that are named. */
  overview(open: readonly string[], signal?: AbortSignal): Promise<Overview> {
    return this.ask('GET', ['clusters'], { query: openQuery(open), signal });
  }

  /** The same as server-sent events; the response is read by whoever asks. */
  async stream(
    open: readonly string[],
    signal?: AbortSignal
  ): Promise<Response> {
    const response = await this.send('GET', ['stream'], {
      query: openQuery(open),
      signal
    });
    if (
      !response.headers.get('Content-Type')?.startsWith('text/event-stream')
    ) {
      throw this.unreadable(response);
    }
    return response;
  }

  view(name: string): Promise<ClusterView> {
    return this.ask('GET', ['clusters', name]);
  }

  /** What starting a cluster would do and cost. */
  plan(body: UpRequest): Promise<Plan> {
    return this.ask('POST', ['plans'], { body });
  }

  up(body: UpRequest): Promise<Operation> {
    return this.ask('POST', ['clusters'], { body });
  }

  scale(name: string, body: ScaleRequest): Promise<Said> {
    return this.ask('POST', ['clusters', name, 'scale'], { body });
  }

  cancelJob(name: string, job: string): Promise<Said> {
    return this.ask('DELETE', ['clusters', name, 'jobs', job]);
  }

  down(name: string): Promise<Operation> {
    return this.ask('DELETE', ['clusters', name]);
  }

  /** Interrupts an operation; one that is over is forgotten. */
  interrupt(operation: string): Promise<Said> {
    return this.ask('DELETE', ['operations', operation]);
  }

  /** Lines that tasks have written, oldest first. */
  logs(
    name: string,
    query: ILogQuery = {},
    signal?: AbortSignal
  ): Promise<LogLine[]> {
    return this.ask('GET', ['clusters', name, 'logs'], {
      query: { ...query },
      signal
    });
  }

  /** What setting up a node has written. */
  nodeLog(name: string, node: string): Promise<NodeLog> {
    return this.ask('GET', ['clusters', name, 'nodes', node, 'log']);
  }

  events(name: string, since = 0): Promise<Event[]> {
    return this.ask('GET', ['clusters', name, 'events'], { query: { since } });
  }

  figure(name: string): Promise<Figure> {
    return this.ask('GET', ['clusters', name, 'figure']);
  }

  handoff(name: string): Promise<Handoff> {
    return this.ask('GET', ['clusters', name, 'handoff']);
  }

  /** What a cluster costs. */
  bill(name: string): Promise<Bill> {
    return this.ask('GET', ['clusters', name, 'bill']);
  }

  /** The line that opens a shell on a node, or on the head. */
  attach(name: string, node: string): Promise<Attach> {
    return this.ask('GET', ['clusters', name, 'attach'], { query: { node } });
  }

  check(body: CheckRequest): Promise<Marks> {
    return this.ask('POST', ['check'], { body });
  }

  private async ask<T>(
    method: string,
    path: string[],
    how: IHow = {}
  ): Promise<T> {
    const response = await this.send(method, path, how);
    try {
      return (await response.json()) as T;
    } catch {
      throw this.unreadable(response);
    }
  }

  private async send(
    method: string,
    path: string[],
    how: IHow
  ): Promise<Response> {
    const { query = {}, body, signal } = how;
    const parts = path.map(part => encodeURIComponent(part)).join('/');
    const asked = Object.entries(query).filter(
      ([, value]) => value !== undefined
    );
    const search = new URLSearchParams(
      asked.map(([key, value]) => [key, `${value}`])
    );
    const url = `${URLExt.join(this.settings.baseUrl, ROUTE)}${parts}?${search}`;
    let response: Response;
    try {
      response = await ServerConnection.makeRequest(
        url,
        {
          method,
          body: body ? JSON.stringify(body) : null,
          signal: signal ?? null
        },
        this.settings
      );
    } catch {
      throw new ApiError(
        0,
        this.trans.__('The Jupyter server does not answer.')
      );
    }
    if (!response.ok) {
      throw new ApiError(response.status, await this.sentence(response));
    }
    return response;
  }

  private unreadable(response: Response): ApiError {
    const message = this.trans.__(
      'The Jupyter server answered with a page, not with data: are you still logged in?'
    );
    return new ApiError(response.status, message);
  }

  /** What a failed response says, or that it says nothing. */
  private async sentence(response: Response): Promise<string> {
    try {
      const failure: unknown = await response.json();
      if (
        typeof failure === 'object' &&
        failure !== null &&
        'message' in failure &&
        typeof failure.message === 'string' &&
        failure.message
      ) {
        return failure.message;
      }
    } catch {
      // A proxy or the server itself has answered in HTML.
    }
    const status = `${response.status} ${response.statusText}`.trim();
    return this.trans.__('The Jupyter server answered %1.', status);
  }
}

interface IHow {
  readonly query?: { readonly [key: string]: string | number | undefined };
  readonly body?: UpRequest | ScaleRequest | CheckRequest;
  readonly signal?: AbortSignal | undefined;
}

function openQuery(open: readonly string[]): { open?: string } {
  return open.length ? { open: open.join(',') } : {};
}
