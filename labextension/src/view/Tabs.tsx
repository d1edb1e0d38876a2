import {
  type ReactElement,
  type ReactNode,
  useId,
  useLayoutEffect,
  useRef
} from 'react';

export interface ITab<Name extends string> {
  name: Name;
  title: string;

  /** How many things it has. */
  count?: number;
}

export interface ITabsProps<Name extends string> {
  label: string;
  tabs: readonly ITab<Name>[];
  current: Name;
  onCurrent: (name: Name) => void;
  children: ReactNode;
}

/** One of several things at a time; each is found where it was scrolled to. */
export function Tabs<Name extends string>(
  props: ITabsProps<Name>
): ReactElement {
  const { label, tabs, current, onCurrent, children } = props;
  const id = useId();
  const list = useRef<HTMLDivElement>(null);
  const panel = useRef<HTMLDivElement>(null);
  const places = useRef(new Map<Name, number>());
  useLayoutEffect(() => {
    if (panel.current) {
      panel.current.scrollTop = places.current.get(current) ?? 0;
    }
  }, [current]);
  const press = (event: React.KeyboardEvent): void => {
    const at = tabs.findIndex(tab => tab.name === current);
    const to = {
      ArrowLeft: (at + tabs.length - 1) % tabs.length,
      ArrowRight: (at + 1) % tabs.length,
      Home: 0,
      End: tabs.length - 1
    }[event.key];
    const tab = to === undefined ? undefined : tabs[to];
    if (tab && to !== undefined) {
      event.preventDefault();
      onCurrent(tab.name);
      list.current?.querySelectorAll('button')[to]?.focus();
    }
  };
  return (
    <div className="jc-Tabs">
      <div
        ref={list}
        className="jc-Tabs-list"
        role="tablist"
        aria-label={label}
        onKeyDown={press}
      >
        {tabs.map(({ name, title, count }) => (
          <button
            key={name}
            type="button"
            role="tab"
            id={`${id}-${name}`}
            aria-selected={name === current}
            aria-controls={`${id}-panel`}
            tabIndex={name === current ? 0 : -1}
            onClick={() => onCurrent(name)}
          >
            <span className="jc-Label">{title}</span>
            {!!count && (
              <span className="jc-Count">{count.toLocaleString('en')}</span>
            )}
          </button>
        ))}
      </div>
      <div
        ref={panel}
        className="jc-Tabs-panel"
        role="tabpanel"
        id={`${id}-panel`}
        aria-labelledby={`${id}-${current}`}
        tabIndex={0}
        onScroll={event =>
          places.current.set(current, event.currentTarget.scrollTop)
        }
      >
        {children}
      </div>
    </div>
  );
}
