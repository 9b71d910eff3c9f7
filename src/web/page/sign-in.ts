// The sign-in form's states. Pure: the form shows them.

import { type Credentials, GatewayError } from "./gateway.ts";
import type { PlainWord } from "./words.ts";

export type Field = "name" | "password" | "code";

export interface SignInState {
  /** The code is asked for once the gateway has said that it is needed. */
  step: "password" | "code";
  busy: boolean;
  /** What to do about it, as a word of the page; null if nothing is wrong. */
  problem: PlainWord | null;
  /** Where the user goes on. */
  focus: Field;
}

export interface Typed {
  name: string;
  password: string;
  code: string;
}

export function begun(name: string, problem: PlainWord | null = null): SignInState {
  return { step: "password", busy: false, problem, focus: name === "" ? "name" : "password" };
}

/** The state after Enter, and what to send: null if something has to be typed first, or is on its way. */
export function submitted(state: SignInState, typed: Typed): { state: SignInState; send: Credentials | null } {
  if (state.busy) return { state, send: null };
  const name = typed.name.trim();
  const wrong = (problem: PlainWord, focus: Field) => ({ state: { ...state, problem, focus }, send: null });
  if (state.step === "password") {
    if (name === "") return wrong("nameEmpty", "name");
    if (typed.password === "") return wrong("passwordEmpty", "password");
    return { state: { ...state, busy: true, problem: null }, send: { name, password: typed.password } };
  }
  const code = typed.code.replace(/\D/g, "");
  if (code.length !== 6) return wrong("oneTimeCodeShape", "code");
  return { state: { ...state, busy: true, problem: null }, send: { name, password: typed.password, code } };
}

/** The state after the gateway refused, or did not answer. */
export function failed(state: SignInState, error: unknown): SignInState {
  const focus: Field = state.step === "code" ? "code" : "password";
  const stays = (problem: PlainWord): SignInState => ({ ...state, busy: false, problem, focus });
  if (!(error instanceof GatewayError)) return stays("gatewayAway");
  if (error.status === 401 && error.reason === "code-needed") {
    return { step: "code", busy: false, problem: state.step === "code" ? "oneTimeCodeWrong" : null, focus: "code" };
  }
  if (error.status === 401) return stays(state.step === "code" ? "oneTimeCodeWrong" : "signInRefused");
  return stays(error.status === 429 ? "signInTooMany" : "signInUnavailable");
}

/** What is cleared after `failed`: a refused password is typed anew, the one that a code completes is kept. */
export function clearedFields(state: SignInState): Field[] {
  if (state.step === "code") return ["code"];
  return state.problem === "signInRefused" ? ["password", "code"] : ["code"];
}
