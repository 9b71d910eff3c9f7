import assert from "node:assert/strict";
import { test } from "node:test";
import { GatewayError } from "../page/gateway.ts";
import { type SignInState, begun, clearedFields, failed, submitted } from "../page/sign-in.ts";

const typed = { name: " aroy ", password: " pass word ", code: "" };
const sent = (state: SignInState): SignInState => submitted(state, typed).state;
const refused = new GatewayError(401, "refused");
const codeNeeded = new GatewayError(401, "code-needed");

test("Enter sends name and password, the password as it was typed, and once", () => {
  const { state, send } = submitted(begun(""), typed);
  assert.deepEqual(send, { name: "aroy", password: " pass word " });
  assert.deepEqual([state.busy, state.problem], [true, null]);
  assert.equal(submitted(state, typed).send, null, "it is on its way");
});

test("what is not typed yet is asked for, there", () => {
  for (const [fields, problem, focus] of [
    [{ ...typed, name: "  " }, "nameEmpty", "name"],
    [{ ...typed, password: "" }, "passwordEmpty", "password"],
  ] as const) {
    const { state, send } = submitted(begun(""), fields);
    assert.deepEqual([send, state.problem, state.focus, state.busy], [null, problem, focus, false]);
  }
});

test("a wrong password is typed anew; the name stays", () => {
  const state = failed(sent(begun("")), refused);
  assert.deepEqual(state, { step: "password", busy: false, problem: "signInRefused", focus: "password" });
  assert.deepEqual(clearedFields(state), ["password", "code"]);
});

test("the code is asked for when it is needed, and is sent with name and password", () => {
  const asked = failed(sent(begun("")), codeNeeded);
  assert.deepEqual(asked, { step: "code", busy: false, problem: null, focus: "code" });
  assert.deepEqual(clearedFields(asked), ["code"], "the password is sent again");
  assert.equal(submitted(asked, { ...typed, code: "12 34" }).state.problem, "oneTimeCodeShape");
  const { send } = submitted(asked, { ...typed, code: "123 456" });
  assert.deepEqual(send, { name: "aroy", password: " pass word ", code: "123456" });
});

test("a wrong code is asked for again, whichever way the gateway says it", () => {
  const asked = submitted(failed(sent(begun("")), codeNeeded), { ...typed, code: "123456" }).state;
  for (const error of [refused, codeNeeded]) {
    assert.deepEqual(failed(asked, error), { step: "code", busy: false, problem: "oneTimeCodeWrong", focus: "code" });
  }
});

test("too many attempts, accounts that cannot be checked and a silent gateway each say what to do, and lose nothing typed", () => {
  for (const [error, problem] of [
    [new GatewayError(429, "too-many"), "signInTooMany"],
    [new GatewayError(503, "unavailable"), "signInUnavailable"],
    [new TypeError("network"), "gatewayAway"],
  ] as const) {
    const state = failed(sent(begun("")), error);
    assert.deepEqual([state.problem, state.busy, clearedFields(state)], [problem, false, ["code"]]);
  }
});

test("the name that is known is not typed again", () => {
  assert.deepEqual([begun("").focus, begun("aroy").focus], ["name", "password"]);
});
