import { JupyterFrontEnd } from '@jupyterlab/application';
import { Widget } from '@lumino/widgets';
import schema from '../../schema/plugin.json';
import { plugin } from '..';

describe('the plugin', () => {
  it('has settings', () => {
    expect(plugin.id).toBe('jupyter-cluster:plugin');
    expect(Object.keys(schema.properties)).toContain('updates');
  });

  it('adds a labelled side bar on the left', async () => {
    const added: [Widget, string][] = [];
    const shell = {
      add: (widget: Widget, area: string) => added.push([widget, area])
    };
    await plugin.activate({ shell } as unknown as JupyterFrontEnd, null, null);
    expect(added).toHaveLength(1);
    const [widget, area] = added[0]!;
    expect(area).toBe('left');
    expect(widget.title.caption).toBe('Clusters');
    expect(widget.node.getAttribute('aria-label')).toBe('Clusters');
  });
});
