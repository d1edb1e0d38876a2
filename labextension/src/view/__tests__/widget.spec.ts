import { nullTranslator } from '@jupyterlab/translation';
import { MessageLoop } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';
import { act, fireEvent, screen } from '@testing-library/react';

import { VIEWS } from '../../__tests__/words';
import { ClusterWidget } from '..';
import { ToldSource } from './told';

const trans = nullTranslator.load('jupyter_cluster');

async function drawn(): Promise<void> {
  await act(() => {
    MessageLoop.flush();
    return Promise.resolve();
  });
}

async function open(tab?: string) {
  const source = new ToldSource();
  const widget = new ClusterWidget({ source, rendermime: null, trans, tab });
  act(() => Widget.attach(widget, document.body));
  await drawn();
  return { source, widget };
}

describe('the widget of a cluster', () => {
  it('is named like it', async () => {
    const { widget } = await open();
    expect(widget.id).toBe('jupyter-cluster-mine');
    expect(widget.title.label).toBe('mine');
    expect(widget.content.name).toBe('mine');
    act(() => widget.dispose());
  });

  it('draws what is new, when it can be seen', async () => {
    const { source, widget } = await open();
    const place = () => widget.node.querySelector('.jc-Header')?.textContent;
    source.tell({ view: { ...VIEWS.running, place: 'on the moon' } });
    await drawn();
    expect(place()).toContain('on the moon');
    widget.hide();
    source.tell({ view: { ...VIEWS.running, place: 'on mars' } });
    await drawn();
    expect(place()).toContain('on the moon');
    widget.show();
    await drawn();
    expect(place()).toContain('on mars');
    act(() => widget.dispose());
  });

  it('begins with the tab that it is told, and tells which is shown', async () => {
    const { widget } = await open('events');
    const selected = () => screen.getByRole('tab', { selected: true });
    expect(selected().textContent).toBe('events');
    const told: string[] = [];
    widget.content.tabChanged.connect((_, tab) => told.push(tab));
    fireEvent.click(screen.getByRole('tab', { name: /nodes/ }));
    await drawn();
    expect(selected().textContent).toContain('nodes');
    expect([told, widget.content.tab]).toEqual([['nodes'], 'nodes']);
    act(() => widget.dispose());
  });

  it('begins with the first tab where it is told one that there is not', async () => {
    const { widget } = await open('nonsense');
    expect(widget.content.tab).toBe('jobs');
    act(() => widget.dispose());
  });

  it('ends its source', async () => {
    const { source, widget } = await open();
    act(() => widget.dispose());
    expect(source.isDisposed).toBe(true);
  });
});
