import type { LabIcon } from '@jupyterlab/ui-components';
import type {
  ReadonlyJSONObject,
  ReadonlyPartialJSONObject
} from '@lumino/coreutils';
import { tellFailure } from '../dialogs/ask';
import type { IContext } from './context';

export type Arguments = ReadonlyPartialJSONObject;

/** A command of ours. */
export interface ICommand {
  readonly id: string;
  readonly label: string;
  readonly caption?: string;
  readonly icon?: LabIcon;
  /** What it takes: JSON schemas by names. */
  readonly takes?: ReadonlyJSONObject;
  readonly isEnabled?: (args: Arguments) => boolean;
  readonly isVisible?: (args: Arguments) => boolean;
  /** Does it; what fails is said. */
  readonly work: (args: Arguments) => unknown;
}

export function addCommand(context: IContext, command: ICommand): void {
  const { app, trans } = context;
  const { id, takes = {}, work, ...looks } = command;
  app.commands.addCommand(id, {
    ...looks,
    describedBy: { args: { type: 'object', properties: takes } },
    execute: async args => {
      try {
        await work(args);
      } catch (error) {
        tellFailure(command.label.replace('…', ''), error, trans);
      }
    }
  });
}

/** An argument that is a text; null where it is none. */
export function text(args: Arguments, name: string): string | null {
  const value = args[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

/** An argument that is a number; null where it is none. */
export function number(args: Arguments, name: string): number | null {
  const value = args[name];
  return typeof value === 'number' ? value : null;
}
