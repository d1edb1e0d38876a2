import type { MainAreaWidget } from '@jupyterlab/apputils';
import type { Terminal } from '@jupyterlab/services';
import type { ITerminal } from '@jupyterlab/terminal';
import type { CommandRegistry } from '@lumino/commands';

/** Opens a terminal and enters a line in it, once its shell has its prompt. */
export async function runInTerminal(
  line: string,
  commands: CommandRegistry
): Promise<void> {
  const terminal = (await commands.execute('terminal:create-new')) as
    MainAreaWidget<ITerminal.ITerminal> | undefined;
  const session = terminal?.content.session;
  const onMessage = (_: unknown, { type }: Terminal.IMessage): void => {
    if (type === 'stdout') {
      session?.messageReceived.disconnect(onMessage);
      session?.send({ type: 'stdin', content: [`${line}\r`] });
    }
  };
  session?.messageReceived.connect(onMessage);
}
