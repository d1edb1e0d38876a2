import {
  forEachDiagnostic,
  lintGutter,
  lintKeymap,
  linter
} from '@codemirror/lint';
import { Prec, type Extension } from '@codemirror/state';
import { EditorView, keymap } from '@codemirror/view';
import { checkAgain, type MarkSource } from './source';

const DELAY_MS = 400;

/** Marks in the text and in the gutter, their list, and keys for both. */
export function marksExtension(source: MarkSource): Extension {
  return [
    linter(source.source, {
      delay: DELAY_MS,
      needsRefresh: ({ transactions }) =>
        transactions.some(({ effects }) =>
          effects.some(effect => effect.is(checkAgain))
        )
    }),
    lintGutter(),
    Prec.high(keymap.of([...lintKeymap, { key: 'Mod-.', run: fixAtCursor }])),
    theme
  ];
}

/** Mends the problem at the cursor, where it is known how. */
function fixAtCursor(view: EditorView): boolean {
  const { head } = view.state.selection.main;
  const fixes: (() => void)[] = [];
  forEachDiagnostic(view.state, ({ actions = [] }, from, to) => {
    if (from <= head && head <= to) {
      fixes.push(
        ...actions.map(
          ({ apply }) =>
            () =>
              apply(view, from, to)
        )
      );
    }
  });
  fixes[0]?.();
  return fixes.length > 0;
}

const LIST = '.cm-panel.cm-panel-lint ul';

/** In the colours and fonts of JupyterLab's theme. */
const theme = EditorView.theme({
  '.cm-tooltip:has(> .cm-tooltip-lint)': {
    border: 'var(--jp-border-width) solid var(--jp-border-color1)',
    borderRadius: 'var(--jp-border-radius)',
    boxShadow: 'var(--jp-elevation-z4)'
  },
  '.cm-tooltip-lint': { maxWidth: '70ch' },
  '.cm-diagnostic': {
    padding: '6px 10px',
    borderLeftWidth: '3px',
    color: 'var(--jp-ui-font-color1)',
    fontFamily: 'var(--jp-ui-font-family)',
    fontSize: 'var(--jp-ui-font-size1)',
    lineHeight: '1.4'
  },
  '.cm-diagnostic-error': { borderLeftColor: 'var(--jp-error-color1)' },
  '.cm-diagnostic-info': { borderLeftColor: 'var(--jp-info-color1)' },
  '.cm-diagnosticAction': {
    display: 'block',
    margin: '4px 0 0',
    padding: '2px 8px',
    border: 'var(--jp-border-width) solid var(--jp-border-color1)',
    borderRadius: 'var(--jp-border-radius)',
    backgroundColor: 'var(--jp-layout-color2)',
    color: 'var(--jp-ui-font-color1)'
  },
  '.cm-diagnosticAction:hover': { backgroundColor: 'var(--jp-layout-color3)' },
  [LIST]: { maxHeight: '12em' },
  [`${LIST} [aria-selected], ${LIST}:focus [aria-selected]`]: {
    backgroundColor: 'var(--jp-layout-color3)',
    color: 'var(--jp-ui-font-color1)'
  },
  '.cm-panel.cm-panel-lint [name=close]': {
    width: '24px',
    height: '24px',
    color: 'var(--jp-ui-font-color1)',
    cursor: 'pointer'
  }
});
