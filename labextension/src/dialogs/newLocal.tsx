import { Dialog, ReactWidget, showDialog } from '@jupyterlab/apputils';
import type { TranslationBundle } from '@jupyterlab/translation';
import type { ReactElement } from 'react';
import type { UpRequest } from '../api/types';
import { NumberField, TextField } from './fields';

const NAME = '[A-Za-z0-9_][A-Za-z0-9_\\-]{0,99}';
const MOST = 100_000;

/** Asks for the name and the size of a cluster on this machine. */
export async function askNewLocal(
  taken: readonly string[],
  trans: TranslationBundle
): Promise<UpRequest | null> {
  const { button, value } = await showDialog({
    title: trans.__('New cluster on this machine'),
    body: new NewLocalForm(freeName(taken), trans),
    buttons: [
      Dialog.cancelButton({ label: trans.__('Cancel') }),
      Dialog.okButton({ label: trans.__('Start') })
    ],
    focusNodeSelector: 'input'
  });
  return button.accept ? value : null;
}

/** `local`, or with the first number that makes it another one than those that there are. */
export function freeName(taken: readonly string[]): string {
  let name = 'local';
  for (let number = 2; taken.includes(name); number++) {
    name = `local-${number}`;
  }
  return name;
}

class NewLocalForm
  extends ReactWidget
  implements Dialog.IBodyWidget<UpRequest>
{
  constructor(
    name: string,
    private readonly trans: TranslationBundle
  ) {
    super();
    this.addClass('jc-Form');
    this.value = { name };
  }

  getValue(): UpRequest {
    return this.value;
  }

  protected override render(): ReactElement {
    const { trans, value } = this;
    return (
      <>
        <p>
          {trans.__(
            'Its nodes share the cores and the memory of this machine.'
          )}
        </p>
        <TextField
          label={trans.__('Name')}
          value={value.name ?? ''}
          pattern={NAME}
          hint={trans.__('Letters, digits, - and _')}
          onChange={name => (value.name = name)}
        />
        <NumberField
          label={trans.__('Cores')}
          placeholder={trans.__('all of this machine')}
          min={1}
          max={MOST}
          onChange={cpus => (value.cpus = cpus)}
        />
        <NumberField
          label={trans.__('Nodes at most')}
          placeholder={trans.__('as the cores allow')}
          min={0}
          max={MOST}
          onChange={count => (value.max_workers = count)}
        />
      </>
    );
  }

  private readonly value: UpRequest;
}
