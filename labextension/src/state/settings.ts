import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { type ISignal, Signal } from '@lumino/signaling';
import type { IUpdates } from '../api/stream';

/** What a user has chosen; `schema/plugin.json` says what it means. */
export interface ISettings extends IUpdates {
  readonly confirmDown: boolean;
  readonly offerFirst: 'local' | 'file';
}

const DEFAULTS: ISettings = {
  updates: 'stream',
  pollSeconds: 2,
  confirmDown: true,
  offerFirst: 'local'
};

/** The settings as they are now: the defaults until they are loaded, or where they cannot be. */
export class Settings {
  get now(): ISettings {
    return this._now;
  }

  get changed(): ISignal<this, ISettings> {
    return this._changed;
  }

  /** Follows the settings of JupyterLab from now on. */
  follow(loaded: ISettingRegistry.ISettings): void {
    const take = (): void => {
      this._now = { ...DEFAULTS, ...(loaded.composite as Partial<ISettings>) };
      this._changed.emit(this._now);
    };
    loaded.changed.connect(take);
    take();
  }

  private _now = DEFAULTS;
  private readonly _changed = new Signal<this, ISettings>(this);
}
