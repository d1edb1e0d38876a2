import { nullTranslator } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import { act, fireEvent, render, screen, within } from '@testing-library/react';

import type { ClusterView } from '../../api/types';
import { readable, VIEWS, wordsOf } from '../../__tests__/words';
import { ClusterPane, type IClusterPaneProps, TABS } from '../ClusterPane';
import { line, ToldSource } from './told';

globalThis.ResizeObserver = class {
  observe(): void {}
  unobserve(): void {}
  disconnect(): void {}
};

const trans = nullTranslator.load('jupyter_cluster');

/** A pane that keeps its tab, as its widget does. */
function open(
  view: ClusterView | null,
  given: Partial<IClusterPaneProps> = {}
) {
  const source = new ToldSource();
  let tab = given.tab ?? 'jobs';
  const element = (now: ClusterView | null) => (
    <ClusterPane
      name="mine"
      view={now}
      freshness="fresh"
      why=""
      requests={source}
      drawFigure={() => null}
      isShown={() => true}
      trans={trans}
      {...given}
      tab={tab}
      onTab={chosen => {
        tab = chosen;
        update(view);
      }}
    />
  );
  const { container, rerender } = render(element(view));
  const update = (now: ClusterView | null): void => {
    view = now;
    rerender(element(now));
  };
  return { container, source, update };
}

function withLimit(value: number): ClusterView {
  const { running } = VIEWS;
  const [most, ...others] = running.controls!.limits;
  const limits = [{ ...most!, value }, ...others];
  return { ...running, controls: { ...running.controls!, limits } };
}

describe('the pane', () => {
  it.each(Object.entries(VIEWS))(
    'has every word of a view: %s',
    async (_, view) => {
      const { container } = open(view);
      let shown = readable(container);
      for (const tab of screen.getAllByRole('tab')) {
        await act(() => Promise.resolve(fireEvent.click(tab)));
        shown += readable(container);
      }
      // What is asked is asked by who does it.
      const words = wordsOf(view).filter(([way]) => !/question$/.test(way));
      for (const [way, text] of words) {
        expect([way, shown]).toEqual([way, expect.stringContaining(text)]);
      }
      expect(container.querySelector('b:not(.jc-Tip b)')).toBeNull();
    }
  );

  it('says what it waits for, and that there is no such cluster', () => {
    const { container } = open(null);
    expect(container.textContent).toContain('Asking how it stands');
    const gone = open(null, { freshness: 'gone' });
    expect(gone.container.textContent).toContain('There is no cluster');
  });

  it('keeps what was shown last of a cluster that has ended', () => {
    const { container } = open(VIEWS.running, { freshness: 'gone' });
    expect(container.textContent).toContain('This cluster has ended.');
    expect(container.textContent).toContain('posters');
    expect(container.querySelector('.jc-mod-past')).toBeTruthy();
    expect(screen.queryByRole('button', { name: /^down/ })).toBeNull();
  });

  it('says once that a cluster has ended', () => {
    const { container } = open(VIEWS.ended, { freshness: 'gone' });
    expect(container.textContent).toContain(VIEWS.ended.state.hint);
    expect(container.querySelector('.jc-Notice')).toBeNull();
  });

  it('says why what is shown is old', () => {
    open(VIEWS.running, { freshness: 'away', why: 'Connection refused.' });
    expect(
      screen.getByText(/does not answer.*Connection refused/)
    ).toBeTruthy();
  });

  it('has what was done said, and what has failed', async () => {
    const { source } = open(VIEWS.running);
    const cancel = screen.getByRole('button', { name: 'cancel job posters' });
    fireEvent.click(cancel);
    await screen.findByText('cancelled posters');
    expect(source.asked[0]).toEqual([
      'act',
      expect.objectContaining({ do: 'cancel', target: 'j1' })
    ]);
    source.failure = 'No <b>job</b> j1.';
    fireEvent.click(cancel);
    const alert = await screen.findByRole('alert');
    expect(alert.textContent).toBe('No <b>job</b> j1.');
    fireEvent.click(within(alert).getByRole('button'));
    expect(screen.queryByRole('alert')).toBeNull();
  });

  it('is walked with the arrow keys from tab to tab', () => {
    open(VIEWS.running);
    const tabs = screen.getAllByRole('tab');
    expect(tabs).toHaveLength(TABS.length);
    expect(tabs.map(tab => tab.tabIndex)).toEqual([0, -1, -1, -1, -1]);
    fireEvent.keyDown(tabs[0]!, { key: 'ArrowLeft' });
    expect(document.activeElement).toBe(tabs.at(-1));
    fireEvent.keyDown(tabs.at(-1)!, { key: 'ArrowRight' });
    expect(tabs[0]?.getAttribute('aria-selected')).toBe('true');
  });

  it('finds each tab where it was scrolled to', () => {
    const { update } = open(VIEWS.running);
    const panel = screen.getByRole('tabpanel');
    panel.scrollTop = 40;
    fireEvent.scroll(panel);
    update({ ...VIEWS.running });
    expect(panel.scrollTop).toBe(40);
    fireEvent.click(screen.getByRole('tab', { name: /events/ }));
    expect(panel.scrollTop).toBe(0);
    fireEvent.click(screen.getByRole('tab', { name: /jobs/ }));
    expect(panel.scrollTop).toBe(40);
  });
});

describe('the limits', () => {
  const field = () =>
    screen.getByRole<HTMLInputElement>('spinbutton', { name: /at most/ });
  const apply = () => screen.getByRole('button', { name: /^apply/ });

  it('keep what is typed while numbers change', () => {
    const { update } = open(withLimit(4));
    fireEvent.change(field(), { target: { value: '12' } });
    update(withLimit(5));
    expect(field().value).toBe('12');
    fireEvent.keyDown(field(), { key: 'Escape' });
    expect(field().value).toBe('5');
    update(withLimit(6));
    expect(field().value).toBe('6');
  });

  it('ask for what was changed and for nothing else', async () => {
    const { source } = open(withLimit(4));
    expect(apply().getAttribute('aria-disabled')).toBe('true');
    fireEvent.change(field(), { target: { value: '12' } });
    fireEvent.click(apply());
    await screen.findByText('scaled');
    expect(source.asked).toEqual([['scale', { max_workers: 12 }]]);
  });

  it('of node types are asked for by their names', async () => {
    const { source } = open(withLimit(4));
    const least = screen.getByLabelText(/at least/);
    fireEvent.change(least, { target: { value: '2' } });
    fireEvent.submit(least.closest('form')!);
    await screen.findByText('scaled');
    expect(source.asked).toEqual([['scale', { min_workers: { local: 2 } }]]);
  });

  it('show what was asked for until the cluster tells its own', async () => {
    jest.useFakeTimers();
    try {
      open(withLimit(4));
      fireEvent.change(field(), { target: { value: '12' } });
      fireEvent.click(apply());
      await act(() => jest.advanceTimersByTimeAsync(100));
      expect(field().value).toBe('12');
      await act(() => jest.advanceTimersByTimeAsync(5000));
      expect(field().value).toBe('4');
    } finally {
      jest.useRealTimers();
    }
  });

  it('that were refused are still there to be mended', async () => {
    const { source } = open(withLimit(4));
    source.failure = 'At most 8 here.';
    fireEvent.change(field(), { target: { value: '12' } });
    fireEvent.click(apply());
    await screen.findByText('At most 8 here.');
    expect(field().value).toBe('12');
    expect(apply().getAttribute('aria-disabled')).toBeNull();
  });

  it('ask for nothing that is no number of nodes', () => {
    const { source } = open(withLimit(4));
    fireEvent.change(field(), { target: { value: '' } });
    fireEvent.click(apply());
    fireEvent.change(field(), { target: { value: '-1' } });
    fireEvent.click(apply());
    expect(source.asked).toEqual([]);
  });
});

describe('the logs', () => {
  it('show what tasks write, as text', async () => {
    const { source, container } = open(VIEWS.running, { tab: 'logs' });
    source.written = [
      line(1, { text: '\x1b[31m<b>red</b>', stream: 'stderr' })
    ];
    const shown = await screen.findByText('<b>red</b>');
    expect(shown.closest('.jc-mod-stderr')).toBeTruthy();
    expect(container.querySelector('.jc-LogView b')).toBeNull();
  });

  it('of one node are a click away from it', async () => {
    const { source } = open(VIEWS.running, { tab: 'nodes' });
    source.written = [line(1), line(2, { node: 'local-2' })];
    fireEvent.click(
      screen.getByRole('button', { name: 'Output of node local-2' })
    );
    await screen.findByText('line 2');
    expect(screen.queryByText('line 1')).toBeNull();
    expect(screen.getByLabelText<HTMLSelectElement>('Node').value).toBe(
      'local-2'
    );
    fireEvent.click(screen.getByRole('button', { name: 'Set-up of local-2' }));
    await screen.findByText('set up local-2');
  });

  it('of one job are a click away from it, by its name', async () => {
    const { source } = open(VIEWS.running);
    source.written = [line(1), line(2, { job: 'j0' })];
    fireEvent.click(screen.getByRole('button', { name: 'Output of job old' }));
    await screen.findByText('line 2');
    expect(screen.queryByText('line 1')).toBeNull();
  });

  it('stay where one has scrolled to, and follow again from the end', async () => {
    const { source } = open(VIEWS.running, { tab: 'logs' });
    source.written = [line(1)];
    await screen.findByText('line 1');
    const place = screen.getByRole('log');
    let height = 500;
    Object.defineProperties(place, {
      scrollHeight: { get: () => height },
      clientHeight: { get: () => 100 }
    });
    const more = async (number: number): Promise<void> => {
      height += 20;
      source.written.push(line(number));
      await screen.findByText(`line ${number}`, {}, { timeout: 3000 });
    };
    await more(2);
    expect(place.scrollTop).toBe(520);
    fireEvent.scroll(place);
    place.scrollTop = 100;
    fireEvent.scroll(place);
    await more(3);
    expect(place.scrollTop).toBe(100);
    fireEvent.click(screen.getByRole('button', { name: /newest/ }));
    expect(place.scrollTop).toBe(540);
    await more(4);
    expect(place.scrollTop).toBe(560);
  }, 20_000);

  it('say why there is no news', async () => {
    const { source } = open(VIEWS.running, { tab: 'logs' });
    source.failure = 'The head does not answer.';
    expect((await screen.findByRole('alert')).textContent).toBe(
      'The head does not answer.'
    );
  });
});

describe('nodes', () => {
  it('and the head have a terminal, or say why not', async () => {
    const { source } = open(VIEWS.running, { tab: 'nodes' });
    source.failure = 'A local cluster has no machines of its own.';
    fireEvent.click(
      screen.getByRole('button', { name: 'Terminal on local-2' })
    );
    await screen.findByText(source.failure);
    fireEvent.click(
      screen.getByRole('button', { name: /Terminal on the head/ })
    );
    expect(source.asked).toEqual([
      ['attach', 'local-2'],
      ['attach', 'head']
    ]);
    await act(async () => Promise.resolve());
  });
});

describe('the figure of the whole course', () => {
  it('is drawn by what JupyterLab has for it', async () => {
    const node = document.createElement('p');
    node.append('a figure');
    const drawn = new Widget({ node });
    const drawFigure = jest.fn(() => drawn);
    const { update } = open(VIEWS.running, { tab: 'course', drawFigure });
    await screen.findByText('a figure');
    expect(drawFigure).toHaveBeenCalledWith({ data: [{ y: [1] }], layout: {} });
    update({ ...VIEWS.running });
    expect(drawFigure).toHaveBeenCalledTimes(1);
    expect(drawn.isAttached).toBe(true);
    fireEvent.click(screen.getByRole('tab', { name: /jobs/ }));
    expect(drawn.isDisposed).toBe(true);
    drawn.dispose();
  });

  it('says where nothing draws it', async () => {
    open(VIEWS.running, { tab: 'course' });
    expect(
      await screen.findByText(/Nothing in this JupyterLab draws/)
    ).toBeTruthy();
  });
});
