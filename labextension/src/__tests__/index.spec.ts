import type { JupyterFrontEnd } from '@jupyterlab/application';
import { ServerConnection } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import { Menu, Widget } from '@lumino/widgets';
import plugins from '..';
import schema from '../../schema/plugin.json';
import { CommandIDs } from '../commands/ids';

const NONE = null;
const plugin = plugins.find(({ id }) => id === 'jupyter-cluster:plugin')!;

function activated(): { commands: CommandRegistry; added: [Widget, string][] } {
  const added: [Widget, string][] = [];
  const commands = new CommandRegistry();
  const menu = new Menu({ commands });
  afterAll(() => menu.dispose());
  const app = {
    commands,
    contextMenu: { menu },
    serviceManager: {
      serverSettings: ServerConnection.makeSettings({
        fetch: () => Promise.reject(new TypeError('nobody'))
      })
    },
    shell: {
      add: (widget: Widget, area: string) => added.push([widget, area])
    }
  };
  void plugin.activate(app as unknown as JupyterFrontEnd, NONE, NONE, NONE);
  return { commands, added };
}

describe('the plugin', () => {
  const { commands, added } = activated();

  it('has settings of its name', () => {
    expect(plugin).toBeDefined();
    expect(Object.keys(schema.properties)).toContain('updates');
  });

  it('adds a labelled side bar on the left', () => {
    expect(added).toHaveLength(1);
    const [widget, area] = added[0]!;
    expect(area).toBe('left');
    expect(widget.title.caption).toBe('Clusters');
    expect(widget.node.getAttribute('aria-label')).toBe('Clusters');
  });

  it('adds every command, with words and what it takes', async () => {
    for (const id of Object.values(CommandIDs)) {
      expect(commands.label(id)).not.toBe('');
      expect(await commands.describedBy(id)).toHaveProperty('args');
    }
  });

  it('has menus of commands that there are', () => {
    for (const item of schema['jupyter.lab.menus'].context) {
      expect(
        item.command === undefined || commands.hasCommand(item.command)
      ).toBe(true);
    }
  });
});
