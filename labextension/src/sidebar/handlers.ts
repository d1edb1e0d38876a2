import { createContext, useContext } from 'react';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Action, Operation } from '../api/types';

/** What the side bar can do; what fails is said by whoever does it. */
export interface IHandlers {
  readonly trans: TranslationBundle;
  /** Which new cluster is offered first. */
  readonly offerFirst: () => 'local' | 'file';
  readonly startLocal: () => Promise<void>;
  readonly startFromFile: () => Promise<void>;
  readonly open: (cluster: string) => void;
  readonly act: (cluster: string, action: Action) => Promise<void>;
  readonly connect: (cluster: string) => Promise<void>;
  readonly tryOut: (cluster: string) => Promise<void>;
  readonly dismiss: (operation: Operation) => Promise<void>;
  readonly retry: () => void;
}

/** Of the side bar that a component is in. */
export const Handlers = createContext<IHandlers | null>(null);

export function useHandlers(): IHandlers {
  const handlers = useContext(Handlers);
  if (!handlers) {
    throw new Error('a part of the side bar is drawn outside of it');
  }
  return handlers;
}
