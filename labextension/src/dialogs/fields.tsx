import { type ReactElement, useId } from 'react';

export interface ITextFieldProps {
  label: string;
  value: string;
  /** What it has to look like. */
  pattern: string;
  /** The same in words. */
  hint: string;
  onChange: (value: string) => void;
}

/** A line of text that has to be given. */
export function TextField(props: ITextFieldProps): ReactElement {
  const { label, value, pattern, hint, onChange } = props;
  const id = useId();
  return (
    <div className="jc-Field">
      <label htmlFor={id} className="jc-Label">
        {label}
      </label>
      <input
        id={id}
        className="jp-mod-styled"
        type="text"
        required
        pattern={pattern}
        title={hint}
        autoComplete="off"
        spellCheck={false}
        defaultValue={value}
        onChange={event => onChange(event.target.value)}
      />
    </div>
  );
}

export interface INumberFieldProps {
  label: string;
  /** What stands after the number. */
  unit?: string;
  value?: number;
  /** What is taken where there is no number; without it there has to be one. */
  placeholder?: string;
  min: number;
  max: number;
  onChange: (value: number | null) => void;
}

/** A whole number. */
export function NumberField(props: INumberFieldProps): ReactElement {
  const { label, unit, value, placeholder, min, max, onChange } = props;
  const id = useId();
  return (
    <div className="jc-Field">
      <label htmlFor={id} className="jc-Label">
        {label}
      </label>
      <input
        id={id}
        className="jp-mod-styled"
        type="number"
        aria-label={unit && `${label} ${unit}`}
        required={placeholder === undefined}
        placeholder={placeholder}
        min={min}
        max={max}
        step={1}
        defaultValue={value}
        onChange={({ target }) =>
          onChange(target.value ? target.valueAsNumber : null)
        }
      />
      {unit && <span className="jc-Field-unit">{unit}</span>}
    </div>
  );
}
