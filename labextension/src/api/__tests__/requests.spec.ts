import { ServerConnection } from '@jupyterlab/services';
import { nullTranslator } from '@jupyterlab/translation';
import { Api, ApiError } from '../requests';

type Answer = (request: Request) => Promise<Response>;

function api(answer: Answer): Api {
  const settings = ServerConnection.makeSettings({
    baseUrl: 'http://hub.example/user/me/',
    token: 'secret',
    fetch: request => answer(request as Request)
  });
  return new Api(settings, nullTranslator.load('jupyter_cluster'));
}

function answering(
  status: number,
  body: string,
  type = 'application/json'
): Api {
  return api(() =>
    Promise.resolve(
      new Response(body, { status, headers: { 'Content-Type': type } })
    )
  );
}

async function failure(asked: Promise<unknown>): Promise<ApiError> {
  const error = await asked.then(
    () => null,
    (reason: unknown) => reason
  );
  expect(error).toBeInstanceOf(ApiError);
  return error as ApiError;
}

describe('Api', () => {
  it('asks below the base URL, with the token', async () => {
    const asked: Request[] = [];
    const of = api(request => {
      asked.push(request);
      return Promise.resolve(new Response('{"said": "as you like"}'));
    });
    await expect(of.cancelJob('a', 'train/1')).resolves.toEqual({
      said: 'as you like'
    });
    const url = new URL(asked[0]!.url);
    expect(url.pathname).toBe(
      '/user/me/jupyter-cluster/api/clusters/a/jobs/train%2F1'
    );
    expect(asked[0]!.method).toBe('DELETE');
    expect(asked[0]!.headers.get('Authorization')).toBe('token secret');
  });

  it('sends bodies as JSON and leaves out what is not asked for', async () => {
    const asked: Request[] = [];
    const of = api(request => {
      asked.push(request);
      return Promise.resolve(new Response('[]'));
    });
    await of.logs('a', { node: 'n&1' });
    await of.scale('a', { max_workers: 3 });
    const search = new URL(asked[0]!.url).searchParams;
    expect(search.get('node')).toBe('n&1');
    expect(search.has('job')).toBe(false);
    expect(await asked[1]!.json()).toEqual({ max_workers: 3 });
  });

  it("fails with the server's sentence", async () => {
    const error = await failure(
      answering(409, '{"message": "Cluster a runs already."}').up({ name: 'a' })
    );
    expect(error.message).toBe('Cluster a runs already.');
    expect(error.status).toBe(409);
  });

  it('fails with a sentence of its own where the server has none', async () => {
    const error = await failure(
      answering(502, '<h1>Bad</h1>', 'text/html').overview([])
    );
    expect(error.message).toContain('502');
    expect(error.message).not.toContain('<');
  });

  it('says that a page of a login is none of the answers', async () => {
    const login = answering(200, '<form>', 'text/html');
    expect((await failure(login.overview([]))).message).toContain('logged in');
    expect((await failure(login.stream([]))).message).toContain('logged in');
  });

  it('says that nobody answers', async () => {
    const of = api(() => Promise.reject(new TypeError('Failed to fetch')));
    const error = await failure(of.view('a'));
    expect(error.status).toBe(0);
    expect(error.message).toBe('The Jupyter server does not answer.');
  });
});
