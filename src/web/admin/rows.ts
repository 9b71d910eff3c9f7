// A table's body whose rows stay the same elements while their figures change, so that the focus stays where it is.

/** A row that can be written anew. */
export interface Row<T> {
  readonly element: HTMLElement;
  update(value: T): void;
}

export class Rows<T> {
  private readonly kept = new Map<string, Row<T>>();

  constructor(
    private readonly into: HTMLElement,
    private readonly keyOf: (value: T) => string,
    private readonly rowOf: (value: T) => Row<T>,
    /** Behind this child; without, from the beginning. */
    private readonly after: Element | null = null,
  ) {}

  show(values: readonly T[]): void {
    const wanted = new Set(values.map(this.keyOf));
    for (const [key, row] of this.kept) {
      if (wanted.has(key)) continue;
      row.element.remove();
      this.kept.delete(key);
    }
    let before: Element | null = this.after === null ? this.into.firstElementChild : this.after.nextElementSibling;
    for (const value of values) {
      const key = this.keyOf(value);
      let row = this.kept.get(key);
      if (row === undefined) {
        row = this.rowOf(value);
        this.kept.set(key, row);
      }
      row.update(value);
      if (row.element === before) before = before.nextElementSibling;
      else this.into.insertBefore(row.element, before);
    }
  }

  /** All rows are made anew at the next showing: the language is another one. */
  forget(): void {
    for (const row of this.kept.values()) row.element.remove();
    this.kept.clear();
  }
}
