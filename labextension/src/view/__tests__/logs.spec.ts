import type { LogLine } from '../../api/types';
import { type ILogs, NO_LOGS, plainText, sinceOf, withAnswer } from '../logs';
import { line } from './told';

/** A head that has written lines, and keeps the newest. */
class Head {
  constructor(public lines: LogLine[]) {}

  answer(logs: ILogs, most?: number): ILogs {
    const since = sinceOf(logs);
    return withAnswer(
      logs,
      this.lines.filter(({ number }) => number > since),
      most
    );
  }
}

function texts(logs: ILogs): (string | null)[] {
  return logs.entries.map(entry => entry.line && entry.line.text);
}

describe('what tasks have written', () => {
  it('is asked for from the newest line on', () => {
    const head = new Head([line(1), line(2)]);
    const once = head.answer(NO_LOGS);
    expect(sinceOf(once)).toBe(1);
    expect(head.answer(once)).toBe(once);
    head.lines.push(line(3));
    expect(texts(head.answer(once))).toEqual(['line 1', 'line 2', 'line 3']);
  });

  it('is kept up to a bound, and what is left out is counted', () => {
    const many = [1, 2, 3, 4, 5].map(number => line(number));
    const logs = new Head(many).answer(NO_LOGS, 3);
    expect(texts(logs)).toEqual(['line 3', 'line 4', 'line 5']);
    const more = new Head([...many, line(6)]).answer(logs, 3);
    expect(texts(more)).toEqual(['line 4', 'line 5', 'line 6']);
    expect([logs.leftOut, more.leftOut]).toEqual([2, 3]);
  });

  it('goes on where a head that was started anew counts from 1 again', () => {
    const before = new Head([line(1), line(2), line(3)]).answer(NO_LOGS);
    const anew = new Head([line(1, { time: 1_790_000_900, text: 'new' })]);
    const after = anew.answer(anew.answer(before));
    expect(texts(after)).toEqual(['line 1', 'line 2', 'line 3', null, 'new']);
    expect(new Set(after.entries.map(entry => entry.key)).size).toBe(5);
  });

  it('goes on where a new head has already written more lines', () => {
    const before = new Head([line(1), line(2)]).answer(NO_LOGS);
    const later = { time: 1_790_000_900, text: 'new' };
    const anew = new Head([1, 2, 3].map(number => line(number, later)));
    const after = anew.answer(anew.answer(before));
    expect(texts(after)).toEqual([
      'line 1',
      'line 2',
      null,
      'new',
      'new',
      'new'
    ]);
  });

  it('goes on where the head has forgotten what was read last', () => {
    const before = new Head([line(1), line(2)]).answer(NO_LOGS);
    expect(texts(new Head([line(8), line(9)]).answer(before))).toEqual([
      'line 1',
      'line 2',
      'line 8',
      'line 9'
    ]);
    const head = new Head([]);
    const none = head.answer(before);
    head.lines = [line(8)];
    expect(texts(head.answer(none))).toEqual(['line 1', 'line 2', 'line 8']);
  });
});

describe('a line of text', () => {
  it.each([
    ['\x1b[31mred\x1b[0m', 'red'],
    ['10 %\r20 %\r', '20 %'],
    ['a\tb', 'a\tb'],
    ['\x1b]0;title\x07text\x07', 'text'],
    ['<b>&amp;', '<b>&amp;'],
    ['', '']
  ])('%j is shown as %j', (text, shown) => {
    expect(plainText(text)).toBe(shown);
  });
});
