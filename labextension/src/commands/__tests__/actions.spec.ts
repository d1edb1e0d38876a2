import { Dialog } from '@jupyterlab/apputils';
import type { ISettingRegistry } from '@jupyterlab/settingregistry';
import { acceptDialog, dismissDialog } from '@jupyterlab/testing';
import { nullTranslator } from '@jupyterlab/translation';
import { Signal } from '@lumino/signaling';
import type { Api } from '../../api/requests';
import type { Action, UpRequest } from '../../api/types';
import { toldModel } from '../../__tests__/fakes';
import { operation } from '../../__tests__/told';
import { Settings } from '../../state/settings';
import { Actions } from '../actions';

const DOWN: Action = {
  do: 'down',
  label: 'down',
  about: 'cluster mine',
  target: '',
  question: 'End the cluster?',
  is_harmless: true
};

/** The server: keeps what it is asked to do. */
class Server {
  readonly asked: string[] = [];

  down(name: string): Promise<unknown> {
    this.asked.push(`down ${name}`);
    return Promise.resolve(operation({ id: 'd', verb: 'down' }));
  }

  cancelJob(name: string, job: string): Promise<unknown> {
    this.asked.push(`cancel ${name} ${job}`);
    return Promise.resolve({ said: 'It is cancelled.' });
  }

  up(body: UpRequest): Promise<unknown> {
    this.asked.push(`up ${JSON.stringify(body)}`);
    return Promise.resolve(operation({ id: 'u' }));
  }
}

function made(confirmDown = true, kernel: string | null = null) {
  const server = new Server();
  const settings = new Settings();
  const chosen = { composite: { confirmDown }, changed: new Signal({}) };
  settings.follow(chosen as unknown as ISettingRegistry.ISettings);
  const { model } = toldModel();
  const trans = nullTranslator.load('jupyter_cluster');
  const api = server as unknown as Api;
  const actions = new Actions(api, model, settings, () => kernel, trans);
  return { actions, server, model };
}

afterEach(() => Dialog.flush());

describe('Actions', () => {
  it('does nothing where the question is answered with no', async () => {
    const { actions, server } = made();
    const done = actions.act('mine', DOWN);
    await dismissDialog();
    expect(await done).toBe('');
    expect(server.asked).toEqual([]);
  });

  it('asks in the words of the server, does it, and shows that it goes on', async () => {
    const { actions, server, model } = made();
    const done = actions.act('mine', DOWN);
    await new Promise(resolve => setTimeout(resolve, 0));
    expect(document.body.textContent).toContain('End the cluster?');
    await acceptDialog();
    await done;
    expect(server.asked).toEqual(['down mine']);
    expect(model.state.operations.map(({ id }) => id)).toEqual(['d']);
  });

  it('leaves out the question of what is harmless where that is chosen', async () => {
    const { actions, server } = made(false);
    await actions.act('mine', DOWN);
    expect(server.asked).toEqual(['down mine']);
  });

  it('asks what loses work, whatever is chosen', async () => {
    const { actions, server } = made(false);
    const done = actions.act('mine', { ...DOWN, is_harmless: false });
    await dismissDialog();
    await done;
    expect(server.asked).toEqual([]);
  });

  it('cancels jobs unasked where there is no question', async () => {
    const { actions, server } = made();
    const cancel: Action = {
      ...DOWN,
      do: 'cancel',
      target: 'j1',
      question: ''
    };
    expect(await actions.act('mine', cancel)).toBe('It is cancelled.');
    expect(server.asked).toEqual(['cancel mine j1']);
  });

  it('starts clusters for the kernel at hand', async () => {
    const { actions, server } = made(true, 'py312');
    await actions.up({ name: 'mine' });
    expect(server.asked).toEqual(['up {"kernel":"py312","name":"mine"}']);
  });
});
