import type { TranslationBundle } from '@jupyterlab/translation';
import type { Api } from '../api/requests';
import type {
  Action,
  Operation,
  Plan,
  ScaleRequest,
  UpRequest
} from '../api/types';
import { confirm } from '../dialogs/ask';
import type { ClustersModel } from '../state/model';
import type { Settings } from '../state/settings';

/** Changes clusters. What fails raises an error with the server's sentence. */
export class Actions {
  constructor(
    private readonly api: Api,
    private readonly model: ClustersModel,
    private readonly settings: Settings,
    private readonly kernel: () => string | null,
    private readonly trans: TranslationBundle
  ) {}

  /**
   * Does what a button says, after its question was answered with yes.
   *
   * Returns what was done, in a sentence; nothing where the answer was no.
   */
  async act(cluster: string, action: Action): Promise<string> {
    if (this.isToAsk(action) && !(await confirm(action, this.trans))) {
      return '';
    }
    switch (action.do) {
      case 'cancel':
        return (await this.api.cancelJob(cluster, action.target)).said;
      case 'down':
        return this.begun(await this.api.down(cluster));
      case 'up':
        return this.begun(await this.up({ name: cluster }));
      case 'interrupt':
        return (await this.api.interrupt(action.target)).said;
      case 'scale':
        throw new Error(
          this.trans.__('Limits are changed in the view of the cluster.')
        );
    }
  }

  /** What starting a cluster would do and cost. */
  plan(request: UpRequest): Promise<Plan> {
    return this.api.plan(this.withKernel(request));
  }

  /** Starts a cluster; its tasks run in the Python of the notebook at hand. */
  async up(request: UpRequest): Promise<Operation> {
    const operation = await this.api.up(this.withKernel(request));
    this.model.begin(operation);
    return operation;
  }

  async scale(cluster: string, limits: ScaleRequest): Promise<string> {
    return (await this.api.scale(cluster, limits)).said;
  }

  /** Shows an operation that is over no longer. */
  async dismiss(operation: string): Promise<void> {
    await this.api.interrupt(operation);
    this.model.forget(operation);
  }

  private withKernel(request: UpRequest): UpRequest {
    return { kernel: this.kernel(), ...request };
  }

  private isToAsk(action: Action): boolean {
    const isWanted = action.do !== 'down' || this.settings.now.confirmDown;
    return action.question !== '' && (isWanted || !action.is_harmless);
  }

  private begun(operation: Operation): string {
    this.model.begin(operation);
    return operation.state.text;
  }
}
