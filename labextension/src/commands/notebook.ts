import type { JupyterFrontEnd } from '@jupyterlab/application';
import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';

/** The kernel of the notebook at hand; null where there is none. */
export function kernelName(tracker: INotebookTracker | null): string | null {
  const context = tracker?.currentWidget?.sessionContext;
  return (
    context?.session?.kernel?.name ?? context?.kernelPreference.name ?? null
  );
}

/**
 * Puts code into a new cell below the active one of the notebook at hand, or of a new notebook.
 *
 * What stands in a cell is never changed: only a notebook made for it, which has one empty cell,
 * has it there.
 */
export async function insertCode(
  code: string,
  tracker: INotebookTracker,
  app: JupyterFrontEnd
): Promise<void> {
  const current = tracker.currentWidget;
  if (current) {
    await current.revealed;
    app.shell.activateById(current.id);
    insertBelow(current, code);
    return;
  }
  const made = await newNotebook(app);
  if (made) {
    await made.revealed;
    made.content.model?.cells.get(0)?.sharedModel.setSource(code);
  }
}

/** A notebook of the default kernel, so that nobody is asked for one. */
async function newNotebook(
  app: JupyterFrontEnd
): Promise<NotebookPanel | undefined> {
  const { kernelspecs } = app.serviceManager;
  await kernelspecs.ready;
  const kernelName = kernelspecs.specs?.default;
  return (await app.commands.execute('notebook:create-new', {
    activate: true,
    ...(kernelName !== undefined && { kernelName })
  })) as NotebookPanel | undefined;
}

function insertBelow(panel: NotebookPanel, code: string): void {
  const notebook = panel.content;
  const at = notebook.activeCell ? notebook.activeCellIndex + 1 : 0;
  notebook.model?.sharedModel.insertCell(at, {
    cell_type: 'code',
    metadata: { trusted: true },
    source: code
  });
  notebook.deselectAll();
  notebook.activeCellIndex = at;
  notebook.activate();
  void notebook.scrollToItem(at);
}
