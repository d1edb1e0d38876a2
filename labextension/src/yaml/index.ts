import type {
  JupyterFrontEnd,
  JupyterFrontEndPlugin
} from '@jupyterlab/application';
import { CodeMirrorEditor } from '@jupyterlab/codemirror';
import type { IDocumentWidget } from '@jupyterlab/docregistry';
import { IEditorTracker, type FileEditor } from '@jupyterlab/fileeditor';
import { ISettingRegistry } from '@jupyterlab/settingregistry';
import { ITranslator, nullTranslator } from '@jupyterlab/translation';
import { Api } from '../api/requests';
import type { YamlHelp } from './help';

const SETTINGS = 'jupyter-cluster:plugin';

/** Problems of a cluster YAML, at their lines while one types. */
export const yamlPlugin: JupyterFrontEndPlugin<void> = {
  id: 'jupyter-cluster:yaml',
  description: 'Marks the problems of a cluster YAML in the editor.',
  autoStart: true,
  requires: [IEditorTracker],
  optional: [ISettingRegistry, ITranslator],
  activate: (
    app: JupyterFrontEnd,
    tracker: IEditorTracker,
    registry: ISettingRegistry | null,
    translator: ITranslator | null
  ) => {
    const trans = (translator ?? nullTranslator).load('jupyter_cluster');
    const { contents, serverSettings } = app.serviceManager;
    const api = new Api(serverSettings, trans);
    const helps = new Set<YamlHelp>();
    let isOn = true;

    const add = async (widget: IDocumentWidget<FileEditor>) => {
      const { content, context } = widget;
      const { YamlHelp } = await import('./help');
      if (content.isDisposed || !(content.editor instanceof CodeMirrorEditor)) {
        return;
      }
      const help = new YamlHelp({
        view: content.editor.editor,
        context,
        path: () => contents.localPath(context.path),
        check: body => api.check(body),
        isOn
      });
      helps.add(help);
      content.disposed.connect(() => {
        helps.delete(help);
        help.dispose();
      });
    };
    tracker.forEach(widget => void add(widget));
    tracker.widgetAdded.connect((_, widget) => void add(widget));

    const follow = (settings: ISettingRegistry.ISettings) => {
      isOn = settings.get('checkYaml').composite !== false;
      helps.forEach(help => help.switch(isOn));
    };
    registry
      ?.load(SETTINGS)
      .then(settings => {
        follow(settings);
        settings.changed.connect(follow);
      })
      .catch(() => {
        // Without settings the default holds.
      });
  }
};
