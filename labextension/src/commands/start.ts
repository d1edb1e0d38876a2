import { FileDialog } from '@jupyterlab/filebrowser';
import type { Contents } from '@jupyterlab/services';
import { fileIcon } from '@jupyterlab/ui-components';
import type { UpRequest } from '../api/types';
import { askNewLocal } from '../dialogs/newLocal';
import { confirmPlan } from '../dialogs/plan';
import { clusterIcon } from '../icons';
import { type Arguments, type ICommand, number, text } from './command';
import type { IContext } from './context';
import { CommandIDs } from './ids';

/** The commands that show the side bar and start clusters. */
export function startCommands(context: IContext): ICommand[] {
  const { trans, showSidebar } = context;
  return [
    {
      id: CommandIDs.show,
      label: trans.__('Show Clusters'),
      icon: clusterIcon,
      work: () => showSidebar()
    },
    {
      id: CommandIDs.newLocal,
      label: trans.__('New Cluster on This Machine…'),
      caption: trans.__('Start a cluster whose nodes share this machine'),
      icon: clusterIcon,
      takes: {
        name: { type: 'string' },
        cpus: { type: 'integer', minimum: 1 },
        max_workers: { type: 'integer', minimum: 0 },
        isDefault: {
          type: 'boolean',
          description: 'Start it as it is by default, unasked'
        }
      },
      work: args => newLocal(context, args)
    },
    {
      id: CommandIDs.newFromFile,
      label: trans.__('New Cluster from a YAML File…'),
      caption: trans.__('Start the cluster that a YAML file describes'),
      icon: fileIcon,
      takes: {
        path: { type: 'string', description: 'As the file browser names it' },
        isSelected: {
          type: 'boolean',
          description: 'The one selected in the file browser'
        }
      },
      work: args => newFromFile(context, args)
    }
  ];
}

/** Starts a cluster on this machine: unasked where something is said of it. */
async function newLocal(context: IContext, args: Arguments): Promise<void> {
  const { actions, model, trans, showSidebar } = context;
  const given: UpRequest = {
    name: text(args, 'name'),
    cpus: number(args, 'cpus'),
    max_workers: number(args, 'max_workers')
  };
  const isGiven =
    args.isDefault === true ||
    Object.values(given).some(value => value !== null);
  const request = isGiven ? given : await askNewLocal(model.state.names, trans);
  if (request) {
    showSidebar();
    await actions.up(request);
  }
}

/** Starts the cluster of a file, after its plan was shown. */
async function newFromFile(context: IContext, args: Arguments): Promise<void> {
  const { actions, trans, showSidebar } = context;
  const isSelected = args.isSelected === true;
  const file =
    text(args, 'path') ??
    (isSelected ? selectedFile(context) : await chosenFile(context));
  if (file === null) {
    return;
  }
  const request: UpRequest = { file };
  if (await confirmPlan(await actions.plan(request), trans)) {
    showSidebar();
    await actions.up(request);
  }
}

function selectedFile({ files }: IContext): string | null {
  const items = files?.tracker.currentWidget?.selectedItems();
  return [...(items ?? [])].find(isYaml)?.path ?? null;
}

async function chosenFile(context: IContext): Promise<string | null> {
  const { documents, translator, trans } = context;
  if (!documents) {
    return null;
  }
  const { value } = await FileDialog.getOpenFiles({
    manager: documents,
    title: trans.__('The YAML file of a cluster'),
    filter: file => (isYaml(file) ? {} : null),
    translator
  });
  return value?.find(isYaml)?.path ?? null;
}

function isYaml({ type, name }: Contents.IModel): boolean {
  return type !== 'directory' && /\.ya?ml$/i.test(name);
}
