import { nullTranslator } from '@jupyterlab/translation';
import { act, fireEvent, render, screen, within } from '@testing-library/react';
import { ApiError } from '../../api/requests';
import type { Action } from '../../api/types';
import { toldModel } from '../../__tests__/fakes';
import { card, operation, overview } from '../../__tests__/told';
import { Clusters, firstOf, shownCards } from '../Clusters';
import type { IHandlers } from '../handlers';

const MARKUP = '<img src=x onerror=alert(1)>';
const DOWN: Action = {
  do: 'down',
  label: 'down',
  about: 'cluster mine',
  target: '',
  question: 'End the cluster?',
  is_harmless: true
};

function shown(offerFirst: 'local' | 'file' = 'local') {
  const { told, model } = toldModel();
  const done: string[] = [];
  const does =
    (what: string) =>
    (...args: unknown[]): Promise<void> => {
      done.push(
        [what, ...args.filter(arg => typeof arg === 'string')].join(' ')
      );
      return Promise.resolve();
    };
  const handlers: IHandlers = {
    trans: nullTranslator.load('jupyter_cluster'),
    offerFirst: () => offerFirst,
    startLocal: does('local'),
    startFromFile: does('file'),
    open: name => void done.push(`open ${name}`),
    act: does('act'),
    connect: does('connect'),
    tryOut: does('try'),
    dismiss: does('dismiss'),
    retry: () => void done.push('retry')
  };
  const { container } = render(<Clusters model={model} handlers={handlers} />);
  const click = (name: string): Promise<void> =>
    act(async () => {
      fireEvent.click(screen.getByRole('button', { name }));
      await Promise.resolve();
    });
  return { told, done, container, click };
}

describe('the side bar', () => {
  it('leads a newcomer to a first cluster in one click', async () => {
    const { told, done, click } = shown();
    expect(screen.queryByRole('button')).toBeNull();
    act(() => told.tell(overview()));
    const [first] = screen.getAllByRole('button');
    expect(first!.textContent).toBe('Start a cluster on this machine');
    await click('Start a cluster on this machine');
    expect(done).toEqual(['local']);
  });

  it('offers a file first where that is chosen', () => {
    const { told } = shown('file');
    act(() => told.tell(overview()));
    expect(screen.getAllByRole('button')[0]!.textContent).toBe(
      'From a YAML file…'
    );
  });

  it('opens a cluster by its name and does what its buttons say', async () => {
    const { told, done, click } = shown();
    const other = card({ name: 'other' });
    act(() =>
      told.tell(overview({ cards: [card({ actions: [DOWN] }), other] }))
    );
    await click('mine');
    await click('Insert a new cell that connects to cluster mine');
    await click('down cluster mine');
    expect(done).toEqual(['open mine', 'connect mine', 'act mine']);
  });

  it('shows how a first cluster is used, until it has work', async () => {
    const { told, done, click } = shown();
    act(() => told.tell(overview({ cards: [card()] })));
    await click('Try cluster mine in the notebook');
    expect(done).toEqual(['try mine']);
    const job = { key: 'j', name: 'job', text: '', bar: null, cancel: null };
    act(() => told.tell(overview({ cards: [card({ jobs: [job] })] })));
    expect(screen.queryByText('Try it in the notebook')).toBeNull();
  });

  it('shows texts from outside as texts', () => {
    const { told, container } = shown();
    const words = { text: MARKUP, meaning: 'bad' as const, hint: MARKUP };
    const job = {
      key: 'j',
      name: MARKUP,
      text: MARKUP,
      bar: null,
      cancel: null
    };
    const evil = card({
      name: MARKUP,
      state: words,
      place: MARKUP,
      blank: MARKUP,
      jobs: [job],
      problems: [MARKUP]
    });
    const begun = operation({ state: words, lines: [MARKUP] });
    act(() => told.tell(overview({ cards: [evil], operations: [begun] })));
    expect(container.querySelector('img')).toBeNull();
    expect(container.textContent).toContain(MARKUP);
  });

  it('says that the server is away, dims what is old and tries when asked to', async () => {
    const { told, done, click, container } = shown();
    act(() => told.tell(overview({ cards: [card()] })));
    act(() => told.fail(new ApiError(0, '')));
    expect(screen.getByText(/does not answer.*as it was/)).toBeTruthy();
    expect(container.querySelector('.jc-mod-old .jc-Card')).not.toBeNull();
    await click('Try now');
    expect(done).toEqual(['retry']);
    act(() => told.tell(overview({ cards: [card()] })));
    expect(container.querySelector('.jc-mod-old')).toBeNull();
  });

  it('says how the server extension is enabled where it is not', () => {
    const { told } = shown();
    act(() => told.fail(new ApiError(404, 'Not Found')));
    expect(
      screen.getByText('jupyter server extension enable jupyter_cluster')
    ).toBeTruthy();
  });

  it('shows what an operation says, why it has failed, and reads that aloud', async () => {
    const { told, done, click, container } = shown();
    act(() => told.tell(overview()));
    act(() =>
      told.tell(
        overview({ operations: [operation({ lines: ['starting its head'] })] })
      )
    );
    const list = screen.getByRole('list', { name: 'Progress' });
    expect(within(list).getByText('starting its head')).toBeTruthy();
    const failed = operation({
      is_over: true,
      state: {
        text: 'it could not be started',
        meaning: 'bad',
        hint: 'no disk is left'
      }
    });
    act(() => told.tell(overview({ operations: [failed] })));
    expect(container.querySelector('[aria-live]')!.textContent).toContain(
      'no disk is left'
    );
    await click('Dismiss: it could not be started');
    expect(done).toEqual(['dismiss']);
  });

  it('draws only the cards anew that have changed', () => {
    const { told, container } = shown();
    const cards = [card({ name: 'a' }), card({ name: 'b' })];
    act(() => told.tell(overview({ cards })));
    const observer = new MutationObserver(() => undefined);
    const deep = {
      subtree: true,
      childList: true,
      characterData: true,
      attributes: true
    };
    observer.observe(container.querySelector('.jc-Clusters-cards')!, deep);
    const news = [card({ name: 'b', place: 'elsewhere' })];
    act(() => told.tell(overview({ names: ['a', 'b'], cards: news })));
    const changed = observer.takeRecords().map(({ target }) => {
      const node = target instanceof Element ? target : target.parentElement;
      return node!.closest('.jc-Card')!.getAttribute('data-name');
    });
    observer.disconnect();
    expect([...new Set(changed)]).toEqual(['b']);
  });
});

describe('a cluster without figures', () => {
  it('does not stand beside its own start, and is no first one', () => {
    const waiting = card({ blank: 'its head is not up' });
    expect(shownCards([waiting], [operation()])).toEqual([]);
    expect(shownCards([waiting], [operation({ is_over: true })])).toEqual([
      waiting
    ]);
    expect(shownCards([waiting], [operation({ verb: 'down' })])).toEqual([
      waiting
    ]);
    expect(firstOf([waiting])).toBeUndefined();
  });
  it('is given no work while nobody hears of it', () => {
    const state = { text: 'lost contact', meaning: 'bad' as const, hint: '' };
    expect(firstOf([card()])).toBeDefined();
    expect(firstOf([card({ state })])).toBeUndefined();
  });
});
