// Where a namespace is named; empty: the default one.

interface NamespaceFieldProps {
  readonly label: string;
  readonly value: string;
  readonly onChange: (namespace: string) => void;
}

export function NamespaceField({ label, value, onChange }: NamespaceFieldProps) {
  return (
    <label class="field">
      {label}
      <input
        value={value}
        placeholder="default"
        spellcheck={false}
        autocapitalize="off"
        onInput={(event) => onChange(event.currentTarget.value)}
      />
    </label>
  );
}
