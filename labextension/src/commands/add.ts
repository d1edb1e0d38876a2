import type { ICommandPalette } from '@jupyterlab/apputils';
import type { ILauncher } from '@jupyterlab/launcher';
import type { IClusters } from '../state/clusters';
import { addCommand } from './command';
import { clusterCommands } from './cluster';
import type { IContext } from './context';
import { CommandIDs } from './ids';
import { startCommands } from './start';

// Above the other cards of its category, below those of languages.
const LAUNCHER_RANK = 1;

/** Adds all commands, to the palette and to the launcher too. */
export function addCommands(
  context: IContext,
  palette: ICommandPalette | null,
  launcher: ILauncher | null
): void {
  const { app, model, trans } = context;
  const commands = [...startCommands(context), ...clusterCommands(context)];
  for (const command of commands) {
    addCommand(context, command);
    palette?.addItem({ command: command.id, category: trans.__('Clusters') });
  }
  launcher?.add({ command: CommandIDs.newLocal, rank: LAUNCHER_RANK });
  let before = enabling(model.state);
  model.changed.connect((_, state) => {
    const now = enabling(state);
    if (now !== before) {
      before = now;
      app.commands.notifyCommandChanged();
    }
  });
}

/** All that says which commands are enabled. */
function enabling({ cards }: IClusters): string {
  return [...cards.values()]
    .map(card =>
      [
        card.name,
        card.runs,
        card.jobs.length > 0,
        ...card.actions.map(action => action.do)
      ].join()
    )
    .join(';');
}
