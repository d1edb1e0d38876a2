import {
  diagnosticCount,
  forEachDiagnostic,
  type Diagnostic
} from '@codemirror/lint';
import { EditorView, runScopeHandlers } from '@codemirror/view';
import { PromiseDelegate } from '@lumino/coreutils';
import { Signal } from '@lumino/signaling';
import type { CheckRequest, Mark, Marks } from '../../api/types';
import { type IYamlHelpOptions, YamlHelp } from '../help';

const TEXT = 'cluster_name: a\nprovider: {type: local}\nmax_wrokers: 3\n';
const BEGIN = TEXT.indexOf('max_wrokers');
const MARK: Mark = {
  begin: BEGIN,
  end: BEGIN + 'max_wrokers'.length,
  severity: 'error',
  message: 'max_wrokers: unknown key; did you mean max_workers?',
  fix: {
    begin: BEGIN,
    end: BEGIN + 'max_wrokers'.length,
    text: 'max_workers',
    label: 'Change to max_workers'
  }
};

/** A server whose answers come when the test says so. */
class Server {
  readonly asked: { body: CheckRequest; answer: PromiseDelegate<Marks> }[] = [];

  readonly check = (body: CheckRequest): Promise<Marks> => {
    const answer = new PromiseDelegate<Marks>();
    this.asked.push({ body, answer });
    return answer.promise;
  };

  async answers(marks: Mark[]): Promise<void> {
    this.asked.at(-1)?.answer.resolve({ marks });
    await jest.advanceTimersByTimeAsync(0);
  }

  async fails(): Promise<void> {
    this.asked.at(-1)?.answer.reject(new Error('The server is away.'));
    await jest.advanceTimersByTimeAsync(0);
  }
}

class Editor {
  constructor(text = TEXT, path = 'work/cluster.yaml') {
    this.path = path;
    this.view = new EditorView({ doc: text, parent: document.body });
    this.help = new YamlHelp({
      view: this.view,
      context: {
        pathChanged: this.pathChanged,
        fileChanged: this.fileChanged
      } as unknown as IYamlHelpOptions['context'],
      path: () => this.path,
      check: this.server.check,
      isOn: true
    });
  }

  get text(): string {
    return this.view.state.doc.toString();
  }

  get marks(): [string, Diagnostic][] {
    const found: [string, Diagnostic][] = [];
    forEachDiagnostic(this.view.state, (one, from, to) => {
      found.push([this.view.state.sliceDoc(from, to), one]);
    });
    return found;
  }

  type(text: string, at = this.view.state.doc.length): void {
    this.view.dispatch({ changes: { from: at, insert: text } });
  }

  /** Whether there was something to do for a key. */
  press(key: string, ctrlKey = false): boolean {
    const event = new KeyboardEvent('keydown', { key, ctrlKey });
    return runScopeHandlers(this.view, event, 'editor');
  }

  readonly server = new Server();
  readonly view: EditorView;
  readonly help: YamlHelp;
  path: string;
  readonly pathChanged = new Signal<object, string>({});
  readonly fileChanged = new Signal<object, object>({});
}

describe('marks in an editor', () => {
  let editor: Editor;

  beforeEach(() => {
    jest.useFakeTimers();
    editor = new Editor();
  });

  afterEach(() => {
    editor.help.dispose();
    editor.view.destroy();
    jest.useRealTimers();
  });

  const wait = (ms: number) => jest.advanceTimersByTimeAsync(ms);

  it('stand where the server says, once one has stopped typing', async () => {
    await wait(200);
    editor.type('# é😀\n');
    await wait(350);
    expect(editor.server.asked).toHaveLength(0);
    await wait(100);
    expect(editor.server.asked.map(({ body }) => body)).toEqual([
      { path: 'work/cluster.yaml', text: `${TEXT}# é😀\n` }
    ]);
    await editor.server.answers([MARK]);
    expect(editor.marks).toHaveLength(1);
    const [marked, diagnostic] = editor.marks[0]!;
    expect(marked).toBe('max_wrokers');
    expect(diagnostic.severity).toBe('error');
    expect(diagnostic.message).toBe(MARK.message);
  });

  it('come of one request at a time, and never of an old text', async () => {
    await wait(400);
    for (const more of ['a', 'b', 'c']) {
      editor.type(more);
      await wait(1000);
    }
    expect(editor.server.asked).toHaveLength(1);
    await editor.server.answers([MARK]);
    expect(diagnosticCount(editor.view.state)).toBe(0);
    expect(editor.server.asked.map(({ body }) => body.text)).toEqual([
      TEXT,
      `${TEXT}abc`
    ]);
    await editor.server.answers([MARK]);
    expect(diagnosticCount(editor.view.state)).toBe(1);
  });

  it('move with the text while the server is away, and are asked for again', async () => {
    await wait(400);
    await editor.server.answers([MARK]);
    editor.type('# more\n', 0);
    await wait(400);
    await editor.server.fails();
    expect(editor.marks.map(([marked]) => marked)).toEqual(['max_wrokers']);
    await wait(4_000);
    expect(editor.server.asked).toHaveLength(2);
    await wait(2_000);
    expect(editor.server.asked).toHaveLength(3);
    await editor.server.fails();
    await wait(9_000);
    expect(editor.server.asked).toHaveLength(3);
    await wait(2_000);
    expect(editor.server.asked).toHaveLength(4);
    await editor.server.answers([]);
    expect(editor.marks).toEqual([]);
    await wait(600_000);
    expect(editor.server.asked).toHaveLength(4);
  });

  it('have a fix, which the keyboard applies', async () => {
    await wait(400);
    await editor.server.answers([MARK]);
    expect(editor.press('.', true)).toBe(false); // the cursor is not there
    editor.view.dispatch({ selection: { anchor: BEGIN + 3 } });
    expect(editor.press('.', true)).toBe(true);
    expect(editor.text).toBe(TEXT.replace('wrokers', 'workers'));
  });

  it('are fixed where they have moved to, and only if they are still there', async () => {
    await wait(400);
    await editor.server.answers([MARK]);
    const [, { actions }] = editor.marks[0]!;
    editor.type('# more\n', 0);
    const at = BEGIN + '# more\n'.length;
    actions?.[0]?.apply(editor.view, at, at + 'max_wrokers'.length);
    const mended = `# more\n${TEXT.replace('wrokers', 'workers')}`;
    expect(editor.text).toBe(mended);
    actions?.[0]?.apply(editor.view, at, at + 'max_wrokers'.length);
    expect(editor.text).toBe(mended);
  });

  it('stand inside the text, wherever the server says', async () => {
    await wait(400);
    await editor.server.answers([{ ...MARK, begin: 9000, end: 9001 }]);
    expect(editor.marks).toHaveLength(1);
  });

  it('go when they are switched off, also if an answer is on its way', async () => {
    await wait(400);
    await editor.server.answers([MARK]);
    editor.help.switch(false);
    expect(editor.marks).toEqual([]);
    editor.help.switch(true);
    await wait(400);
    expect(editor.server.asked).toHaveLength(2);
    editor.help.switch(false);
    await editor.server.answers([MARK]);
    expect(editor.marks).toEqual([]);
    editor.type('x');
    await wait(600_000);
    expect(editor.server.asked).toHaveLength(2);
  });

  it('are made anew when the file is moved or saved', async () => {
    await wait(400);
    await editor.server.answers([MARK]);
    editor.path = 'elsewhere/cluster.yaml';
    editor.pathChanged.emit(editor.path);
    await wait(400);
    await editor.server.answers([]);
    expect(editor.server.asked.at(-1)?.body.path).toBe(editor.path);
    editor.fileChanged.emit({});
    await wait(400);
    expect(editor.server.asked).toHaveLength(3);
  });

  it('end with the editor', async () => {
    await wait(400);
    await editor.server.fails();
    editor.help.dispose();
    editor.view.destroy();
    editor.fileChanged.emit({});
    await wait(600_000);
    expect(editor.server.asked).toHaveLength(1);
  });

  it('are not in other files, until they become cluster YAMLs', async () => {
    const other = new Editor('name: a\nprovider: {type: local}\n', 'a.yaml');
    await wait(600_000);
    expect(other.server.asked).toHaveLength(0);
    expect(other.view.dom.querySelector('.cm-gutter-lint')).toBeNull();
    other.type('cluster_', 0);
    await wait(800);
    expect(other.server.asked).toHaveLength(1);
    expect(other.view.dom.querySelector('.cm-gutter-lint')).not.toBeNull();
    await other.server.answers([MARK]);
    other.path = 'a.txt';
    other.pathChanged.emit(other.path);
    expect(other.marks).toEqual([]);
    expect(other.view.dom.querySelector('.cm-gutter-lint')).toBeNull();
    other.help.dispose();
    other.view.destroy();
  });
});
