import { InputDialog } from '@jupyterlab/apputils';
import {
  codeIcon,
  notebookIcon,
  numberingIcon,
  runIcon,
  stopIcon,
  terminalIcon
} from '@jupyterlab/ui-components';
import type { Action, Card, ClusterView, Row } from '../api/types';
import { choose } from '../dialogs/ask';
import { showBill } from '../dialogs/bill';
import { askLimits } from '../dialogs/scale';
import { clusterIcon } from '../icons';
import { type Arguments, type ICommand, text } from './command';
import type { IContext } from './context';
import { CommandIDs } from './ids';
import { insertCode } from './notebook';
import { runInTerminal } from './terminal';

/** A command about one cluster. */
interface IClusterCommand extends Omit<
  ICommand,
  'work' | 'isEnabled' | 'isVisible'
> {
  /** Whether it can be done to this cluster. */
  readonly suits?: (card: Card) => boolean;
  readonly work: (name: string, args: Arguments) => unknown;
}

/** The commands about one cluster: the one that is named, at hand, or chosen. */
export function clusterCommands(context: IContext): ICommand[] {
  return described(context).map(command => aboutCluster(context, command));
}

function described(context: IContext): IClusterCommand[] {
  const { trans, showView } = context;
  const runs = (card: Card): boolean => card.runs;
  return [
    {
      id: CommandIDs.open,
      label: trans.__('Open Cluster'),
      icon: clusterIcon,
      takes: {
        tab: { type: 'string', description: 'What is shown below its course' }
      },
      work: (name, args) => showView(name, text(args, 'tab') ?? undefined)
    },
    {
      id: CommandIDs.insertConnect,
      label: trans.__('Insert Connection Code'),
      caption: trans.__('Insert a new cell that connects to the cluster'),
      icon: codeIcon,
      suits: runs,
      work: name => insert(context, name, 'connect')
    },
    {
      id: CommandIDs.insertExample,
      label: trans.__('Try It in the Notebook'),
      caption: trans.__(
        'Insert a new cell that does something with the cluster'
      ),
      icon: notebookIcon,
      suits: runs,
      work: name => insert(context, name, 'example')
    },
    {
      id: CommandIDs.attach,
      label: trans.__('Open Terminal on a Node…'),
      icon: terminalIcon,
      takes: {
        node: { type: 'string', description: 'Its name; head for the head' }
      },
      suits: runs,
      work: (name, args) => attach(context, name, text(args, 'node'))
    },
    {
      id: CommandIDs.scale,
      label: trans.__('Change Limits…'),
      icon: numberingIcon,
      suits: runs,
      work: name => scale(context, name)
    },
    {
      id: CommandIDs.cancelJob,
      label: trans.__('Cancel Job…'),
      icon: stopIcon,
      takes: { job: { type: 'string', description: 'Its id' } },
      suits: card => card.jobs.length > 0,
      work: (name, args) => cancelJob(context, name, text(args, 'job'))
    },
    {
      id: CommandIDs.showCost,
      label: trans.__('Show Cost'),
      suits: runs,
      work: async name => showBill(name, await context.api.bill(name), trans)
    },
    {
      id: CommandIDs.start,
      label: trans.__('Start Cluster Again'),
      icon: runIcon,
      suits: card => hasAction(card, 'up'),
      work: name => act(context, name, 'up')
    },
    {
      id: CommandIDs.end,
      label: trans.__('End Cluster…'),
      icon: stopIcon,
      suits: card => hasAction(card, 'down'),
      work: name => act(context, name, 'down')
    }
  ];
}

function aboutCluster(context: IContext, command: IClusterCommand): ICommand {
  const { suits = () => true, work, ...others } = command;
  const { model, trans } = context;
  const handed = (args: Arguments): string | null =>
    text(args, 'name') ?? context.atHand();
  const suited = (args: Arguments): string[] => {
    const name = handed(args);
    return (name === null ? model.state.names : [name]).filter(one => {
      const card = model.state.cards.get(one);
      return card !== undefined && suits(card);
    });
  };
  return {
    ...others,
    takes: {
      name: { type: 'string', description: 'Of the cluster' },
      ...command.takes
    },
    isEnabled: args => suited(args).length > 0,
    isVisible: args => handed(args) === null || suited(args).length > 0,
    work: async args => {
      const named = text(args, 'name');
      const name =
        named ??
        (await choose(command.label, suited(args), trans.__('Choose')));
      if (name !== null) {
        await work(name, args);
      }
    }
  };
}

function hasAction(card: Card, verb: Action['do']): boolean {
  return card.actions.some(action => action.do === verb);
}

async function act(
  context: IContext,
  name: string,
  verb: Action['do']
): Promise<void> {
  const actions = context.model.state.cards.get(name)?.actions ?? [];
  const action = actions.find(one => one.do === verb);
  if (!action) {
    throw new Error(
      context.trans.__('This cannot be done to cluster %1 now.', name)
    );
  }
  await context.actions.act(name, action);
}

async function insert(
  context: IContext,
  name: string,
  which: 'connect' | 'example'
): Promise<void> {
  const { api, app, notebooks, trans } = context;
  if (!notebooks) {
    throw new Error(trans.__('This JupyterLab has no notebooks.'));
  }
  const handoff = await api.handoff(name);
  await insertCode(handoff[which].trimEnd(), notebooks, app);
}

/** Opens a terminal on a node; which one is asked where none is named. */
export async function attach(
  context: IContext,
  name: string,
  node: string | null
): Promise<void> {
  const { api, app, trans } = context;
  const wanted = node ?? (await chosenNode(context, await api.view(name)));
  if (wanted === null) {
    return;
  }
  const { command } = await api.attach(name, wanted);
  if (!app.commands.hasCommand('terminal:create-new')) {
    throw new Error(
      trans.__(
        'This JupyterLab has no terminals; the line for one is: %1',
        command
      )
    );
  }
  await runInTerminal(command, app.commands);
}

function chosenNode(
  { trans }: IContext,
  view: ClusterView
): Promise<string | null> {
  const nodes = ['head', ...view.nodes.rows.map(row => row.key)];
  return choose(trans.__('Terminal on which node?'), nodes, trans.__('Open'));
}

async function scale(context: IContext, name: string): Promise<void> {
  const { actions, api, trans } = context;
  const { controls } = await api.view(name);
  if (!controls) {
    throw new Error(
      trans.__('The limits of cluster %1 cannot be changed now.', name)
    );
  }
  const limits = await askLimits(name, controls, trans);
  if (limits) {
    await actions.scale(name, limits);
  }
}

async function cancelJob(
  context: IContext,
  name: string,
  job: string | null
): Promise<void> {
  const { actions, api, trans } = context;
  const rows = (await api.view(name)).jobs.rows.filter(row => cancelOf(row));
  const row =
    job === null
      ? await chosenRow(context, rows)
      : rows.find(one => cancelOf(one)?.target === job);
  const cancel = row && cancelOf(row);
  if (cancel) {
    await actions.act(name, cancel);
  } else if (job !== null || rows.length === 0) {
    throw new Error(
      trans.__('Cluster %1 has no such job that could be cancelled.', name)
    );
  }
}

function cancelOf(row: Row): Action | undefined {
  return (
    row.cells
      .map(cell => cell.action)
      .find(action => action?.do === 'cancel') ?? undefined
  );
}

async function chosenRow(
  { trans }: IContext,
  rows: readonly Row[]
): Promise<Row | undefined> {
  const labels = rows.map(
    row => `${row.cells[0]?.words.text ?? ''} (${row.key})`
  );
  if (rows.length === 0) {
    return undefined;
  }
  const { value } = await InputDialog.getItem({
    title: trans.__('Cancel which job?'),
    items: labels,
    okLabel: trans.__('Cancel Job')
  });
  return rows[labels.indexOf(value ?? '')];
}
