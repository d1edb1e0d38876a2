import {
  Dialog,
  InputDialog,
  Notification,
  showDialog
} from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import { Widget } from '@lumino/widgets';
import type { Action } from '../api/types';

// JupyterLab cuts what is longer.
export const NOTIFICATION_LENGTH = 140;

/** Asks what an action says is to be asked; what loses work is not what Enter does. */
export async function confirm(
  action: Action,
  trans: TranslationBundle
): Promise<boolean> {
  const isEnd = action.do === 'down' || action.do === 'cancel';
  const make = isEnd ? Dialog.warnButton : Dialog.okButton;
  const { button } = await showDialog({
    title: capital(`${action.label} ${action.about}`),
    body: action.question,
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      make({ label: capital(action.label) })
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

/** Says that something was not done, and why: in a dialog where it is more than a line. */
export function tellFailure(
  title: string,
  error: unknown,
  trans: TranslationBundle
): void {
  const message = error instanceof Error ? error.message : String(error);
  const line = `${title}: ${message}`;
  if (line.length <= NOTIFICATION_LENGTH && !line.includes('\n')) {
    Notification.error(line, { autoClose: false });
    return;
  }
  const body = new Widget();
  body.addClass('jc-Failure');
  body.node.textContent = message;
  const buttons = [Dialog.okButton({ label: trans.__('Close') })];
  void showDialog({ title, body, buttons });
}

/** The beginning of a text, up to a word's end. */
export function cut(text: string, length: number): string {
  if (text.length <= length) {
    return text;
  }
  const begin = text.slice(0, length - 1);
  return `${begin.slice(0, Math.max(begin.lastIndexOf(' '), length / 2))}…`;
}

/** With a capital at its beginning, as JupyterLab writes. */
export function capital(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
