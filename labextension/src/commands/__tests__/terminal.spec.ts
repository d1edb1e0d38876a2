import type { Terminal } from '@jupyterlab/services';
import { CommandRegistry } from '@lumino/commands';
import { Signal } from '@lumino/signaling';
import { runInTerminal } from '../terminal';

it('a line is entered once, after the prompt', async () => {
  const sent: Terminal.IMessage[] = [];
  const session = {
    messageReceived: new Signal<object, Terminal.IMessage>({}),
    send: (message: Terminal.IMessage) => sent.push(message)
  };
  const commands = new CommandRegistry();
  commands.addCommand('terminal:create-new', {
    execute: () => ({ content: { session } })
  });
  await runInTerminal('ssh there', commands);
  session.messageReceived.emit({ type: 'disconnect' });
  expect(sent).toEqual([]);
  session.messageReceived.emit({ type: 'stdout', content: ['$ '] });
  session.messageReceived.emit({ type: 'stdout', content: ['ssh there'] });
  expect(sent).toEqual([{ type: 'stdin', content: ['ssh there\r'] }]);
});
