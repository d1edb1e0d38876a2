import { forEachDiagnostic, type Diagnostic } from '@codemirror/lint';
import { StateEffect, type Text } from '@codemirror/state';
import type { EditorView } from '@codemirror/view';
import type { Edit, Mark, Marks } from '../api/types';

/** Asks for a check although the text has not changed. */
export const checkAgain = StateEffect.define<null>();

const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 60_000;

/**
 * Where CodeMirror gets the marks of a text from: the server, one request at a time.
 *
 * CodeMirror drops an answer when the text has changed since. While the server is away the marks
 * stay as they are, and it is asked again after ever longer pauses.
 */
export class MarkSource {
  constructor(private readonly ask: (text: string) => Promise<Marks>) {}

  readonly source = (view: EditorView): Promise<readonly Diagnostic[]> => {
    const { doc } = view.state;
    this.last = this.last.then(() => this.check(view, doc));
    return this.last;
  };

  /** No more requests. */
  dispose(): void {
    this.isDisposed = true;
    window.clearTimeout(this.timer);
  }

  private async check(
    view: EditorView,
    doc: Text
  ): Promise<readonly Diagnostic[]> {
    if (this.isDisposed || view.state.doc !== doc) {
      return [];
    }
    window.clearTimeout(this.timer);
    try {
      const { marks } = await this.ask(doc.toString());
      this.pause = FIRST_PAUSE_MS;
      return this.isDisposed ? [] : marks.map(mark => diagnostic(mark, doc));
    } catch {
      this.retry(view);
      return this.isDisposed ? [] : shown(view);
    }
  }

  private retry(view: EditorView): void {
    if (this.isDisposed) {
      return;
    }
    this.timer = window.setTimeout(() => {
      view.dispatch({ effects: checkAgain.of(null) });
    }, this.pause);
    this.pause = Math.min(2 * this.pause, LONGEST_PAUSE_MS);
  }

  private last: Promise<readonly Diagnostic[]> = Promise.resolve([]);
  private pause = FIRST_PAUSE_MS;
  private timer = 0;
  private isDisposed = false;
}

/** The marks as they are, where they have moved to. */
function shown(view: EditorView): Diagnostic[] {
  const found: Diagnostic[] = [];
  forEachDiagnostic(view.state, (one, from, to) => {
    found.push({ ...one, from, to });
  });
  return found;
}

function diagnostic(mark: Mark, doc: Text): Diagnostic {
  const { begin, end, severity, message, fix } = mark;
  const to = Math.min(end, doc.length);
  return {
    from: Math.min(begin, to),
    to,
    severity,
    message,
    actions: fix ? [action(mark, fix, doc)] : []
  };
}

function action(mark: Mark, fix: Edit, doc: Text) {
  const before = doc.sliceString(fix.begin, fix.end);
  return {
    name: fix.label,
    apply: (view: EditorView, from: number) => {
      // The mark moves when something before it is written.
      const begin = fix.begin + from - mark.begin;
      const end = begin + before.length;
      if (view.state.sliceDoc(begin, end) !== before) {
        return; // what it was about has changed
      }
      view.dispatch({
        changes: { from: begin, to: end, insert: fix.text },
        selection: { anchor: begin + fix.text.length },
        scrollIntoView: true,
        userEvent: 'input.complete'
      });
      view.focus();
    }
  };
}
