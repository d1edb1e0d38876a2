import type { MainAreaWidget } from '@jupyterlab/apputils';
import type { ITerminal } from '@jupyterlab/terminal';
import type { CommandRegistry } from '@lumino/commands';

/** Opens a terminal and enters a line in it. */
export async function runInTerminal(
  line: string,
  commands: CommandRegistry
): Promise<void> {
  const terminal = (await commands.execute('terminal:create-new')) as
    MainAreaWidget<ITerminal.ITerminal> | undefined;
  terminal?.content.session.send({ type: 'stdin', content: [`${line}\r`] });
}
