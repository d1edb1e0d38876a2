import { ApiError } from '../../api/requests';
import { toldModel } from '../../__tests__/fakes';
import { card, operation, overview } from '../../__tests__/told';

describe('ClustersModel', () => {
  it('emits what has changed, and keeps what it knew while nobody answers', () => {
    const { told, model } = toldModel();
    const phases: string[] = [];
    model.changed.connect((_, state) => phases.push(state.connection.phase));
    told.tell(overview({ cards: [card()] }));
    told.fail(new ApiError(0, 'The Jupyter server does not answer.'));
    told.fail(new ApiError(404, 'Not Found'));
    told.tell(overview({ cards: [card()] }));
    expect(phases).toEqual(['connected', 'away', 'absent', 'connected']);
    expect(model.state.cards.get('mine')?.name).toBe('mine');
  });

  it('follows an open cluster until the last who has it open closes it', () => {
    const { told, model } = toldModel();
    const first = model.open('b');
    const second = model.open('b');
    const other = model.open('a');
    expect(told.opened.pop()).toEqual(['a', 'b']);
    first.dispose();
    first.dispose();
    expect(told.opened.pop()).toEqual(['a', 'b']);
    second.dispose();
    expect(told.opened.pop()).toEqual(['a']);
    other.dispose();
    expect(told.opened.pop()).toEqual([]);
  });

  it('tells of an operation that ends, once', () => {
    const { told, model } = toldModel();
    const ended: string[] = [];
    model.ended.connect((_, { id }) => ended.push(id));
    model.begin(operation());
    const over = overview({ operations: [operation({ is_over: true })] });
    told.tell(over);
    told.tell(over);
    expect(ended).toEqual(['1']);
  });
});
