/** The commands of the labextension. */
export const CommandIDs = {
  show: 'jupyter-cluster:show',
  newLocal: 'jupyter-cluster:new-local',
  newFromFile: 'jupyter-cluster:new-from-file',
  open: 'jupyter-cluster:open',
  scale: 'jupyter-cluster:scale',
  cancelJob: 'jupyter-cluster:cancel-job',
  insertConnect: 'jupyter-cluster:insert-connect',
  insertExample: 'jupyter-cluster:insert-example',
  attach: 'jupyter-cluster:attach',
  showCost: 'jupyter-cluster:show-cost',
  start: 'jupyter-cluster:start',
  end: 'jupyter-cluster:end'
} as const;
