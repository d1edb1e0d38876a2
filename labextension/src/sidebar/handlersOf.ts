import { CommandIDs } from '../commands/ids';
import type { IContext } from '../commands/context';
import { capital, tellFailure } from '../dialogs/ask';
import type { Settings } from '../state/settings';
import type { IHandlers } from './handlers';

/** What the side bar can do, by the commands where there is one. */
export function handlersOf(context: IContext, settings: Settings): IHandlers {
  const { actions, app, model, trans } = context;
  const execute = async (
    id: string,
    args: { [key: string]: string | boolean }
  ): Promise<void> => {
    await app.commands.execute(id, args);
  };
  const attempt = async (
    title: string,
    work: () => Promise<unknown>
  ): Promise<void> => {
    try {
      await work();
    } catch (error) {
      tellFailure(title, error, trans);
    }
  };
  return {
    trans,
    offerFirst: () => settings.now.offerFirst,
    startLocal: () => execute(CommandIDs.newLocal, { isDefault: true }),
    startFromFile: () => execute(CommandIDs.newFromFile, {}),
    open: name => void execute(CommandIDs.open, { name }),
    act: (name, action) =>
      attempt(capital(`${action.label} ${action.about}`), () =>
        actions.act(name, action)
      ),
    connect: name => execute(CommandIDs.insertConnect, { name }),
    tryOut: name => execute(CommandIDs.insertExample, { name }),
    dismiss: ({ id, state }) =>
      attempt(capital(state.text), () => actions.dismiss(id)),
    retry: () => model.retry()
  };
}
