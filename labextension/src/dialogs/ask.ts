import {
  Dialog,
  InputDialog,
  Notification,
  showDialog,
  showErrorMessage
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { Action } from '../api/types';

// JupyterLab cuts what is longer.
const NOTIFICATION_LENGTH = 140;

/** Asks what an action says is to be asked; what loses work is not what Enter does. */
export async function confirm(
  action: Action,
  trans: TranslationBundle
): Promise<boolean> {
  const isEnd = action.do === 'down' || action.do === 'cancel';
  const make = isEnd ? Dialog.warnButton : Dialog.okButton;
  const { button } = await showDialog({
    title: `${action.label} – ${action.about}`,
    body: action.question,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      make({ label: action.label })
    ],
    defaultButton: isEnd && !action.is_harmless ? 0 : 1
  });
  return button.accept;
}

/** Has one of several names chosen; where there is one, it is that. */
export async function choose(
  title: string,
  items: readonly string[],
  okLabel: string
): Promise<string | null> {
  const [first] = items;
  if (first === undefined || items.length === 1) {
    return first ?? null;
  }
  const { value } = await InputDialog.getItem({
    title,
    items: [...items],
    okLabel
  });
  return value;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Says that something was not done, and why, whatever is on the screen. */
export function tellFailure(
  title: string,
  error: unknown,
  trans: TranslationBundle
): void {
  const message = messageOf(error);
  const short = cut(`${title}: ${message}`, NOTIFICATION_LENGTH);
  const whole = {
    label: trans.__('Whole message'),
    callback: () => void showErrorMessage(title, message)
  };
  const isCut = short.endsWith('…');
  Notification.error(short, {
    autoClose: false,
    ...(isCut && { actions: [whole] })
  });
}

/** The beginning of a text, up to a word's end. */
export function cut(text: string, length: number): string {
  if (text.length <= length) {
    return text;
  }
  const begin = text.slice(0, length - 1);
  return `${begin.slice(0, Math.max(begin.lastIndexOf(' '), length / 2))}…`;
}
