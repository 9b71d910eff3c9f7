// Questions before something is done: a dialog that stays open until it is done, or says why it is not.

import { ApiError } from "./api.ts";
import { button, make, words } from "./dom.ts";

export interface Field {
  name: string;
  label: string;
  kind: "text" | "password" | "area" | "tick" | "choice";
  value?: string;
  most?: number;
  needed?: boolean;
  hint?: string;
  choices?: readonly (readonly [value: string, label: string])[];
  /** Whether it is asked, by what the others say; one that is not asked has no value. */
  shown?(values: Record<string, string>): boolean;
}

export interface Question {
  title: string;
  detail?: string;
  fields?: Field[];
  act: string;
  grave?: boolean;
  /** Something to be tried beforehand, which says what came of it. */
  attempt?: { label: string; doing: string; run(values: Record<string, string>): Promise<string> };
  /** What is done; what it rejects with is shown. */
  run(values: Record<string, string>): Promise<void>;
}

export function problemOf(error: unknown): string {
  if (error instanceof ApiError) return error.status === 0 ? words().away : words().failed(error.reason || String(error.status));
  return String(error);
}

type Control = HTMLInputElement | HTMLTextAreaElement | HTMLSelectElement;

function controlOf(field: Field): Control {
  const { name, value = "", most = 128 } = field;
  const required = field.needed ?? false;
  if (field.kind === "area") return make("textarea", { name, value, maxLength: most, required, rows: 3 });
  if (field.kind === "choice") {
    const options = (field.choices ?? []).map(([value, label]) => make("option", { value, textContent: label }));
    return Object.assign(make("select", { name }, ...options), { value });
  }
  if (field.kind === "tick") return make("input", { name, type: "checkbox", checked: value === "true" });
  return make("input", { name, type: field.kind, value, maxLength: most, required, autocomplete: field.kind === "password" ? "new-password" : "off", spellcheck: false });
}

function lineOf(field: Field, control: Control): HTMLElement {
  control.id = `ask-${field.name}`;
  const label = make("label", { htmlFor: control.id, textContent: field.label });
  const tick = field.kind === "tick";
  const line = make("div", { className: tick ? "field tick" : "field" }, ...(tick ? [control, label] : [label, control]));
  if (field.hint !== undefined) {
    const hint = make("p", { className: "hint", id: `${control.id}-hint`, textContent: field.hint });
    control.setAttribute("aria-describedby", hint.id);
    line.append(hint);
  }
  return line;
}

/** The button of an attempt, and where it says what came of it. */
function attempts(question: Question, isRight: () => boolean, values: () => Record<string, string>): HTMLElement[] {
  const attempt = question.attempt;
  if (attempt === undefined) return [];
  const told = make("p", { className: "told", hidden: true });
  told.setAttribute("role", "status");
  const tell = (text: string): void => {
    told.textContent = text;
    told.hidden = false;
    told.scrollIntoView({ block: "nearest" });
  };
  const begin = button(attempt.label, "quiet attempt", () => {
    if (begin.disabled || !isRight()) return;
    begin.disabled = true;
    tell(attempt.doing);
    attempt.run(values()).then(tell, (error: unknown) => tell(problemOf(error))).finally(() => (begin.disabled = false));
  });
  return [make("div", { className: "row" }, begin), told];
}

export function ask(question: Question): void {
  const fields = (question.fields ?? []).map((field) => {
    const control = controlOf(field);
    return { field, control, line: lineOf(field, control) };
  });
  const valuesOf = (asked: typeof fields): Record<string, string> =>
    Object.fromEntries(asked.map(({ field, control }) =>
      [field.name, control instanceof HTMLInputElement && control.type === "checkbox" ? String(control.checked) : control.value]));
  const showFields = (): void => {
    const all = valuesOf(fields);
    for (const { field, control, line } of fields) {
      line.hidden = field.shown?.(all) === false;
      control.disabled = line.hidden;
    }
  };
  const values = (): Record<string, string> => valuesOf(fields.filter(({ line }) => !line.hidden));
  const problem = make("p", { className: "problem", hidden: true });
  problem.setAttribute("role", "alert");
  const act = make("button", { type: "submit", className: question.grave === true ? "grave" : "primary", textContent: question.act });
  const form = make(
    "form",
    { className: "question" },
    make("h2", { id: "ask-title", textContent: question.title }),
    ...(question.detail === undefined ? [] : [make("p", { className: "lead", textContent: question.detail })]),
    ...fields.map(({ line }) => line),
    ...attempts(question, () => fields.every(({ control }) => control.reportValidity()), values),
    problem,
    make("div", { className: "row answers" }, button(words().cancel, "quiet", () => dialog.close()), act),
  );
  const dialog = make("dialog", { className: "ask" }, form);
  dialog.setAttribute("aria-labelledby", "ask-title");
  const from = document.activeElement;
  dialog.addEventListener("close", () => {
    dialog.remove();
    if (from instanceof HTMLElement && from.isConnected) from.focus();
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (act.disabled) return;
    act.disabled = true;
    question.run(values()).then(() => dialog.close(), (error: unknown) => {
      problem.textContent = problemOf(error);
      problem.hidden = false;
      act.disabled = false;
      act.focus();
    });
  });
  form.addEventListener("input", showFields);
  showFields();
  document.body.append(dialog);
  dialog.showModal();
  (fields[0]?.control ?? act).focus();
}
