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
}

export interface Question {
  title: string;
  detail?: string;
  fields?: Field[];
  act: string;
  grave?: boolean;
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

export function ask(question: Question): void {
  const fields = (question.fields ?? []).map((field) => ({ field, control: controlOf(field) }));
  const problem = make("p", { className: "problem", hidden: true });
  problem.setAttribute("role", "alert");
  const act = make("button", { type: "submit", className: question.grave === true ? "grave" : "primary", textContent: question.act });
  const form = make(
    "form",
    { className: "question" },
    make("h2", { id: "ask-title", textContent: question.title }),
    ...(question.detail === undefined ? [] : [make("p", { className: "lead", textContent: question.detail })]),
    ...fields.map(({ field, control }) => lineOf(field, control)),
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
    const values = Object.fromEntries(fields.map(({ field, control }) =>
      [field.name, control instanceof HTMLInputElement && control.type === "checkbox" ? String(control.checked) : control.value]));
    question.run(values).then(() => dialog.close(), (error: unknown) => {
      problem.textContent = problemOf(error);
      problem.hidden = false;
      act.disabled = false;
      act.focus();
    });
  });
  document.body.append(dialog);
  dialog.showModal();
  (fields[0]?.control ?? act).focus();
}
