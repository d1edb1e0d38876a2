import { Compartment, StateEffect } from '@codemirror/state';
import { EditorView } from '@codemirror/view';
import type { DocumentRegistry } from '@jupyterlab/docregistry';
import type { IDisposable } from '@lumino/disposable';
import type { CheckRequest, Marks } from '../api/types';
import { marksExtension } from './extension';
import { isClusterYaml } from './rule';
import { checkAgain, MarkSource } from './source';

/** So long after the last change it is looked at whether a text is a cluster YAML. */
const LOOK_MS = 300;

export interface IYamlHelpOptions {
  readonly view: EditorView;
  readonly context: Pick<
    DocumentRegistry.Context,
    'pathChanged' | 'fileChanged'
  >;
  /** The path of the file as the server's contents manager names it. */
  readonly path: () => string;
  readonly check: (body: CheckRequest) => Promise<Marks>;
  readonly isOn: boolean;
}

/** Marks in one editor, while its file is a cluster YAML. */
export class YamlHelp implements IDisposable {
  constructor(private readonly options: IYamlHelpOptions) {
    const { view, context } = options;
    this.isOn = options.isOn;
    view.dispatch({
      effects: StateEffect.appendConfig.of([
        this.place.of([]),
        EditorView.updateListener.of(({ docChanged }) => {
          if (docChanged) {
            this.updateSoon();
          }
        })
      ])
    });
    context.pathChanged.connect(this.refresh);
    context.fileChanged.connect(this.refresh);
    this.update();
  }

  get isDisposed(): boolean {
    return this._isDisposed;
  }

  /** Switch the marks on or off. */
  switch(isOn: boolean): void {
    this.isOn = isOn;
    this.update();
  }

  dispose(): void {
    const { pathChanged, fileChanged } = this.options.context;
    pathChanged.disconnect(this.refresh);
    fileChanged.disconnect(this.refresh);
    this._isDisposed = true;
    window.clearTimeout(this.timer);
    this.marks?.dispose();
  }

  /** Where a file lies counts too, and what lies beside it. */
  private readonly refresh = (): void => {
    this.update();
    this.options.view.dispatch({ effects: checkAgain.of(null) });
  };

  private updateSoon(): void {
    window.clearTimeout(this.timer);
    if (!this._isDisposed) {
      this.timer = window.setTimeout(() => this.update(), LOOK_MS);
    }
  }

  private update(): void {
    const { view, path, check } = this.options;
    const isWanted =
      this.isOn && isClusterYaml(path(), view.state.doc.toString());
    if (isWanted === (this.marks !== null)) {
      return;
    }
    this.marks?.dispose();
    this.marks = isWanted
      ? new MarkSource(text => check({ path: path(), text }))
      : null;
    const made = this.marks ? marksExtension(this.marks) : [];
    view.dispatch({ effects: this.place.reconfigure(made) });
  }

  private readonly place = new Compartment();
  private marks: MarkSource | null = null;
  private timer = 0;
  private isOn: boolean;
  private _isDisposed = false;
}
